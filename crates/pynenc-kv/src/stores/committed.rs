//! The effects of a committed step: parts of this process and other processes are notified.

use pynenc_core::packed::{Packed, Unpack, pack, packed_struct, unknown_variant, unpack};
use pynenc_core::trigger_store::Notification;
use pynenc_core::{InvocationId, QueueName, Result, RunnerId, StatusRecord, Timestamp};

use crate::decisions::orchestrator::Effects;
use crate::stores::key_value::{KeyValue, Topic};

/// The number of completions in one notice.
const IDS: usize = Topic::MOST_BYTES / 16 - 1;

/// The effects of a step, until it is committed.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    pub(crate) completed: Vec<(InvocationId, StatusRecord)>,
    pub(crate) signals: Vec<Sent>,
    pub(crate) hints: Vec<Hinted>,
    pub(crate) triggers: Vec<Notification>,
}

/// A signal to runners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Cancel(RunnerId, InvocationId),
    Outbox,
}

impl Packed for Sent {
    fn pack(&self, to: &mut Vec<u8>) {
        match self {
            Self::Cancel(owner, id) => {
                to.push(0);
                owner.pack(to);
                id.pack(to);
            }
            Self::Outbox => to.push(1),
        }
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        match from.variant()? {
            0 => Ok(Self::Cancel(Packed::unpack(from)?, Packed::unpack(from)?)),
            1 => Ok(Self::Outbox),
            found => Err(unknown_variant("Sent", found)),
        }
    }
}

/// New hints of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hinted {
    pub(crate) queue: QueueName,
    /// The number of new hints that are ready.
    pub(crate) ready: u64,
    /// When the first of the delayed ones is due.
    pub(crate) due: Option<Timestamp>,
}

packed_struct!(Hinted { queue, ready, due });

impl Effects for Committed {
    fn completed(&mut self, id: InvocationId, record: &StatusRecord) {
        self.completed.push((id, record.clone()));
    }

    fn cancel_requested(&mut self, owner: RunnerId, id: InvocationId) {
        self.signals.push(Sent::Cancel(owner, id));
    }

    fn outbox_grew(&mut self) {
        if !self.signals.contains(&Sent::Outbox) {
            self.signals.push(Sent::Outbox);
        }
    }
}

impl Committed {
    /// Notes a new hint.
    pub(crate) fn hinted(&mut self, queue: &QueueName, due: Option<Timestamp>) {
        let position = self.hints.iter().position(|hinted| hinted.queue == *queue).unwrap_or_else(|| {
            self.hints.push(Hinted { queue: queue.clone(), ready: 0, due: None });
            self.hints.len() - 1
        });
        let hinted = &mut self.hints[position];
        match due {
            Some(due) => hinted.due = Some(hinted.due.map_or(due, |first| first.min(due))),
            None => hinted.ready += 1,
        }
    }

    /// Notifies the other processes.
    pub(crate) fn notify(&self, data: &dyn KeyValue) {
        for completed in self.completed.chunks(IDS) {
            let ids: Vec<u8> = completed.iter().flat_map(|(id, _)| *id.as_bytes()).collect();
            data.notify(Topic::Completions, &ids);
        }
        for signal in &self.signals {
            data.notify(Topic::Signals, &pack(signal));
        }
        for hinted in &self.hints {
            data.notify(Topic::Hints, &pack(hinted));
        }
        for notification in &self.triggers {
            data.notify(Topic::Triggers, &[u8::from(*notification == Notification::Definitions)]);
        }
    }
}

/// Reads the effects of a step of another process. A notice that can't be read, for example of a newer version, gives nothing.
pub(crate) fn read_notice(topic: Topic, notice: &[u8]) -> (Committed, Vec<InvocationId>) {
    let mut committed = Committed::default();
    let mut completed = Vec::new();
    match topic {
        Topic::Completions => {
            let (ids, _) = notice.as_chunks();
            completed.extend(ids.iter().copied().map(InvocationId::from_bytes));
        }
        Topic::Signals => committed.signals.extend(unpack::<Sent>(notice).ok()),
        Topic::Hints => committed.hints.extend(unpack::<Hinted>(notice).ok()),
        Topic::Triggers => {
            let kind =
                notice.first().map(|kind| if *kind == 0 { Notification::Events } else { Notification::Definitions });
            committed.triggers.extend(kind);
        }
    }
    (committed, completed)
}
