//! The packed form of the core's records.

use crate::error::Result;
use crate::orchestrator::{HistoryEntry, Introduction, OutboxEntry, Tracked};
use crate::packed::{Packed, Unpack, packed_struct, unknown_variant};
use crate::page::Cursor;
use crate::record::{
    Argument, InvocationRecord, Outcome, Payload, Priority, RegistrationKey, Retention, RunningKey, TaskError,
    TraceContext, WhenBlocked, WorkflowIdentity,
};
use crate::state_backend::{JournalEntry, JournalRecord};
use crate::status::{Due, Reason, Status, StatusRecord};
use crate::trigger_store::{
    Delivery, Event, FiredRun, Occurrence, RunOutcome, ScheduleSlot, TriggerDefinition, TriggerRun,
};

packed_struct!(Argument { name, value });
packed_struct!(Cursor { at, id });
packed_struct!(Event { sequence, name, key, payload, serializer, at });
packed_struct!(FiredRun { run, at, delivery });
packed_struct!(HistoryEntry { status, at, version, epoch, runner, reason, detail });
packed_struct!(Introduction { queues, tasks, slots });
packed_struct!(InvocationRecord {
    id,
    task,
    arguments,
    serializer,
    queue,
    priority,
    timeout,
    max_retries,
    parent,
    workflow,
    retry_of,
    trace,
    created_at,
    due,
});
packed_struct!(JournalEntry { position, kind, name, arguments, value });
packed_struct!(JournalRecord { entry, at });
packed_struct!(Occurrence { id, trigger, condition, context, at, until });
packed_struct!(OutboxEntry { sequence, listener, id, task, record });
packed_struct!(RegistrationKey { key, arguments });
packed_struct!(Retention { results, failures });
packed_struct!(RunningKey { key, limit, when_blocked });
packed_struct!(ScheduleSlot { schedule, from, to });
packed_struct!(StatusRecord {
    status,
    owner,
    version,
    epoch,
    deliveries,
    starts,
    losses,
    retries,
    due,
    cancel_requested,
    reason,
    at,
});
packed_struct!(TaskError { kind, message, source_chain, attempt });
packed_struct!(TraceContext { traceparent, tracestate });
packed_struct!(Tracked { id, task, queue, priority, limited, record });
packed_struct!(TriggerDefinition { id, spec });
packed_struct!(TriggerRun { id, trigger, cause, outcome, consumes, slot });
packed_struct!(WorkflowIdentity { id, parent });

/// A value of an enum as its position in `ALL`.
macro_rules! packed_text_enum {
    ($($name:ident),+) => {$(
        impl Packed for $name {
            fn pack(&self, to: &mut Vec<u8>) {
                to.push(*self as u8);
            }

            fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
                let variant = from.variant()?;
                Self::ALL.get(usize::from(variant)).copied().ok_or_else(|| unknown_variant(stringify!($name), variant))
            }
        }
    )+};
}

packed_text_enum!(Status, Reason);

impl Packed for Priority {
    fn pack(&self, to: &mut Vec<u8>) {
        self.level().pack(to);
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        u16::unpack(from).map(Self::from_level)
    }
}

impl Packed for WhenBlocked {
    fn pack(&self, to: &mut Vec<u8>) {
        to.push(match self {
            Self::Park => 0,
            Self::Drop => 1,
        });
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        match from.variant()? {
            0 => Ok(Self::Park),
            1 => Ok(Self::Drop),
            found => Err(unknown_variant("WhenBlocked", found)),
        }
    }
}

impl Packed for Delivery {
    fn pack(&self, to: &mut Vec<u8>) {
        match self {
            Self::Open => to.push(0),
            Self::Submitted => to.push(1),
            Self::Refused(reason) => {
                to.push(2);
                reason.pack(to);
            }
        }
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        match from.variant()? {
            0 => Ok(Self::Open),
            1 => Ok(Self::Submitted),
            2 => Packed::unpack(from).map(Self::Refused),
            found => Err(unknown_variant("Delivery", found)),
        }
    }
}

impl Packed for Due {
    fn pack(&self, to: &mut Vec<u8>) {
        match self {
            Self::In(delay) => {
                to.push(0);
                delay.pack(to);
            }
            Self::At(time) => {
                to.push(1);
                time.pack(to);
            }
        }
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        match from.variant()? {
            0 => Packed::unpack(from).map(Self::In),
            1 => Packed::unpack(from).map(Self::At),
            found => Err(unknown_variant("Due", found)),
        }
    }
}

impl Packed for Payload {
    fn pack(&self, to: &mut Vec<u8>) {
        match self {
            Self::Inline(bytes) => {
                to.push(0);
                bytes.pack(to);
            }
            Self::External { digest, size } => {
                to.push(1);
                digest.pack(to);
                size.pack(to);
            }
        }
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        match from.variant()? {
            0 => Packed::unpack(from).map(Self::Inline),
            1 => Ok(Self::External { digest: Packed::unpack(from)?, size: Packed::unpack(from)? }),
            found => Err(unknown_variant("Payload", found)),
        }
    }
}

impl Packed for Outcome {
    fn pack(&self, to: &mut Vec<u8>) {
        match self {
            Self::Value { value, serializer } => {
                to.push(0);
                value.pack(to);
                serializer.pack(to);
            }
            Self::Error(error) => {
                to.push(1);
                error.pack(to);
            }
            Self::LargeError(error) => {
                to.push(2);
                error.pack(to);
            }
        }
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        match from.variant()? {
            0 => Ok(Self::Value { value: Packed::unpack(from)?, serializer: Packed::unpack(from)? }),
            1 => Packed::unpack(from).map(Self::Error),
            2 => Packed::unpack(from).map(Self::LargeError),
            found => Err(unknown_variant("Outcome", found)),
        }
    }
}

impl Packed for RunOutcome {
    fn pack(&self, to: &mut Vec<u8>) {
        match self {
            Self::Call { invocation, call } => {
                to.push(0);
                invocation.pack(to);
                call.pack(to);
            }
            Self::Failed(error) => {
                to.push(1);
                error.pack(to);
            }
            Self::Missed(slots) => {
                to.push(2);
                slots.pack(to);
            }
        }
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        match from.variant()? {
            0 => Ok(Self::Call { invocation: Packed::unpack(from)?, call: Packed::unpack(from)? }),
            1 => Packed::unpack(from).map(Self::Failed),
            2 => Packed::unpack(from).map(Self::Missed),
            found => Err(unknown_variant("RunOutcome", found)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::clock::Timestamp;
    use crate::id::{Digest, InvocationId, RunnerId};
    use crate::packed::{pack, unpack};

    fn check<T: Packed + PartialEq + std::fmt::Debug>(value: &T) {
        assert_eq!(&unpack::<T>(&pack(value)).unwrap(), value);
    }

    fn payloads() -> [Payload; 2] {
        [
            Payload::Inline(Bytes::from_static(b"value")),
            Payload::External { digest: Digest::of(b"value"), size: 1 << 40 },
        ]
    }

    fn error() -> TaskError {
        let source_chain = vec!["a source".to_owned()];
        TaskError { kind: "Kind".to_owned(), message: "message".to_owned(), source_chain, attempt: 3 }
    }

    #[test]
    fn every_variant_survives() {
        Status::ALL.iter().for_each(check);
        Reason::ALL.iter().for_each(check);
        [Due::In(Duration::from_micros(1)), Due::At(Timestamp::from_millis(7))].iter().for_each(check);
        payloads().iter().for_each(check);
        let [inline, external] = payloads();
        check(&Outcome::Value { value: external.clone(), serializer: "JsonSerializer".into() });
        check(&Outcome::Error(error()));
        check(&Outcome::LargeError(inline.clone()));
        check(&RunOutcome::Call { invocation: InvocationId::new(), call: Bytes::from_static(b"call") });
        check(&RunOutcome::Failed("failed".into()));
        check(&RunOutcome::Missed("missed".into()));
        check(&Priority::default().raised(7));
        assert_eq!(unpack::<Priority>(&pack(&u16::MAX)).unwrap(), Priority::MAX);
    }

    #[test]
    fn records_survive() {
        let id = InvocationId::new();
        let [inline, external] = payloads();
        check(&InvocationRecord {
            id,
            task: "app::pay".into(),
            arguments: [("a", inline), ("b", external.clone())]
                .map(|(name, value)| Argument { name: name.into(), value })
                .into(),
            serializer: "JsonSerializer".into(),
            queue: "default".into(),
            priority: Priority::new(9),
            timeout: Some(Duration::from_millis(1500)),
            max_retries: Some(u32::MAX),
            parent: Some(InvocationId::new()),
            workflow: Some(WorkflowIdentity { id, parent: None }),
            retry_of: None,
            trace: Some(TraceContext { traceparent: "00".into(), tracestate: Some("a=b".into()) }),
            created_at: Timestamp::from_millis(1),
            due: Some(Timestamp::from_millis(2)),
        });
        let mut record = StatusRecord::registered(Some(Due::In(Duration::from_secs(1))), Timestamp::from_millis(5));
        record.owner = Some(RunnerId::new());
        check(&OutboxEntry { sequence: 1, listener: "triggers".into(), id, task: "app::pay".into(), record });
        let (position, kind, name) = ("1.a".into(), "step".into(), "ship".into());
        check(&JournalEntry { position, kind, name, arguments: Digest::of(b"a"), value: external });
        check(&Introduction { queues: vec!["default".into()], tasks: vec!["app::pay".into()], slots: 64 });
        let slot =
            ScheduleSlot { schedule: "daily".into(), from: Timestamp::from_millis(1), to: Timestamp::from_millis(2) };
        check(&TriggerRun {
            id: "run".into(),
            trigger: "trigger".into(),
            cause: "slot".into(),
            outcome: RunOutcome::Missed("two".into()),
            consumes: vec!["a".into(), "b".into()],
            slot: Some(slot),
        });
        let (payload, serializer) = (Bytes::from_static(b"1"), "JsonSerializer".into());
        check(&Event {
            sequence: 9,
            name: "paid".into(),
            key: Some("".into()),
            payload,
            serializer,
            at: Timestamp::default(),
        });
    }
}
