//! Sample values for tests of components: calls, records, outcomes and status changes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pynenc_core::broker::Pop;
use pynenc_core::lane::{Settlement, Submission};
use pynenc_core::orchestrator::{Tracked, Transition};
use pynenc_core::record::{
    Argument, InvocationRecord, Outcome, Payload, Priority, Registration, RegistrationKey, RunningKey, WhenBlocked,
};
use pynenc_core::state_backend::OutcomeWrite;
use pynenc_core::status::{By, Change};
use pynenc_core::{Digest, InvocationId, QueueName, Reason, Status, TaskId, Timestamp};

/// One second.
pub const SECOND: Duration = Duration::from_secs(1);
/// One hour.
pub const HOUR: Duration = Duration::from_secs(3600);

/// A task.
pub fn task() -> TaskId {
    "testkit::task".into()
}

/// The queue of all samples.
pub fn queue() -> QueueName {
    "default".into()
}

/// A registration of a new invocation.
pub fn registration() -> Registration {
    Registration::new(InvocationId::new(), task(), queue())
}

/// A registration key.
pub fn registration_key(key: &str, arguments: &str) -> RegistrationKey {
    RegistrationKey { key: Digest::of(key.as_bytes()), arguments: Digest::of(arguments.as_bytes()) }
}

/// A running key. All of them are the same.
pub fn running_key(limit: u32, when_blocked: WhenBlocked) -> RunningKey {
    RunningKey { key: Digest::of(b"running"), limit, when_blocked }
}

/// A registration with a running key. All of these registrations have the same key.
pub fn limited(limit: u32) -> Registration {
    Registration { running: Some(running_key(limit, WhenBlocked::Park)), ..registration() }
}

/// A small value.
pub fn payload(text: &str) -> Payload {
    Payload::Inline(Bytes::copy_from_slice(text.as_bytes()))
}

/// A successful outcome.
pub fn outcome(text: &str) -> Outcome {
    Outcome::Value { value: payload(text), serializer: "JsonSerializer".into() }
}

/// The record of a call with one argument.
pub fn record(registration: &Registration) -> InvocationRecord {
    InvocationRecord {
        id: registration.id,
        task: registration.task.clone(),
        arguments: vec![Argument { name: "x".into(), value: payload("1") }],
        serializer: "JsonSerializer".into(),
        queue: registration.queue.clone(),
        priority: Priority::default(),
        timeout: Some(SECOND),
        max_retries: Some(3),
        parent: None,
        workflow: None,
        retry_of: None,
        trace: None,
        created_at: Timestamp::from_millis(7),
        due: Some(Timestamp::from_millis(9)),
    }
}

/// A submission of a new call.
pub fn submission() -> Submission {
    submission_of(registration())
}

/// A submission with this registration.
pub fn submission_of(registration: Registration) -> Submission {
    Submission { record: Arc::new(record(&registration)), registration }
}

/// A pop of at most `max` hints that doesn't wait.
pub fn pop(max: usize) -> Pop {
    Pop { queues: vec![queue()], max, wait: Duration::ZERO }
}

/// A change of status by the owner.
///
/// # Panics
///
/// Panics if nobody owns the invocation.
pub fn transition(tracked: &Tracked, to: Status, reason: Reason) -> Transition {
    let owner = tracked.record.owner.expect("a runner owns the invocation");
    Transition { id: tracked.id, seen: tracked.record.clone(), change: Change::new(to, By::Owner(owner), reason) }
}

/// The settlement of a successful attempt.
///
/// # Panics
///
/// Panics like [`transition`].
pub fn settlement(running: &Tracked) -> Settlement {
    let outcome = OutcomeWrite { id: running.id, epoch: running.record.epoch, outcome: outcome("7") };
    Settlement {
        outcome: Some(outcome),
        transition: transition(running, Status::Success, Reason::Returned),
        requeue: None,
    }
}
