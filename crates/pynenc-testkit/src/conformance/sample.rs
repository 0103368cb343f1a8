//! Sample records for the trials.

use std::time::Duration;

use bytes::Bytes;
use pynenc_core::record::{
    Argument, InvocationRecord, Outcome, Payload, Priority, Registration, RegistrationKey, RunningKey, WhenBlocked,
};
use pynenc_core::{Digest, InvocationId, QueueName, TaskId, Timestamp};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn task() -> TaskId {
    "testkit::task".into()
}

pub(crate) fn queue() -> QueueName {
    "default".into()
}

pub(crate) fn registration() -> Registration {
    Registration::new(InvocationId::new(), task(), queue())
}

pub(crate) fn registration_key(key: &str, arguments: &str) -> RegistrationKey {
    RegistrationKey { key: Digest::of(key.as_bytes()), arguments: Digest::of(arguments.as_bytes()) }
}

pub(crate) fn running_key(limit: u32, when_blocked: WhenBlocked) -> RunningKey {
    RunningKey { key: Digest::of(b"running"), limit, when_blocked }
}

/// A registration with a running key. All of these registrations have the same key.
pub(crate) fn limited(limit: u32) -> Registration {
    Registration { running: Some(running_key(limit, WhenBlocked::Park)), ..registration() }
}

pub(crate) fn payload(text: &str) -> Payload {
    Payload::Inline(Bytes::copy_from_slice(text.as_bytes()))
}

pub(crate) fn outcome(text: &str) -> Outcome {
    Outcome::Value { value: payload(text), serializer: "JsonSerializer".into() }
}

pub(crate) fn record(registration: &Registration) -> InvocationRecord {
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
    }
}
