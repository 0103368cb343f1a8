//! The records of an invocation beside its status: the call, the registration and the outcome. A record never changes
//! once it is written.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{Digest, InvocationId, QueueName, TaskId};
use crate::status::Due;

/// The priority of an invocation in its queue; a greater one is taken first.
///
/// Callers choose 0 to 9. An invocation that others wait for is raised above all of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priority(u16);

impl Priority {
    /// The greatest priority that a caller may choose.
    pub const HIGHEST: u8 = 9;
    /// The greatest priority.
    pub const MAX: Self = Self(1023);
    const RAISED: u16 = 16;

    /// Creates the priority that a caller chose; a `level` above 9 becomes 9.
    pub const fn new(level: u8) -> Self {
        Self(if level > Self::HIGHEST { Self::HIGHEST } else { level } as u16)
    }

    /// Returns the priority of an invocation that `waiters` other invocations wait for.
    #[must_use]
    pub fn raised(self, waiters: usize) -> Self {
        let waiters = u16::try_from(waiters).unwrap_or(u16::MAX);
        if waiters == 0 { self } else { Self(Self::RAISED.saturating_add(waiters)).min(Self::MAX) }
    }

    /// Creates the priority with this number; one above 1023 becomes 1023.
    pub fn from_level(level: u16) -> Self {
        Self(level).min(Self::MAX)
    }

    /// Returns the priority as a number, from 0 to 1023.
    pub const fn level(self) -> u16 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self(5)
    }
}

/// A serialized value, or a reference to a serialized value in the argument cache.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// The bytes themselves.
    Inline(Bytes),
    /// A reference to content of the argument cache. Only the engine creates references: users pass values.
    External {
        /// The digest of the content. It is also the content's key.
        digest: Digest,
        /// The content's length in bytes.
        size: u64,
    },
}

impl Payload {
    /// Returns the digest of the content, if the content is in the argument cache.
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Self::Inline(_) => None,
            Self::External { digest, .. } => Some(*digest),
        }
    }

    /// Returns the length of the value in bytes, inline or in the argument cache.
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::External { size, .. } => *size,
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            Self::External { digest, size } => write!(f, "External({size} bytes, {digest})"),
        }
    }
}

/// One named argument of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argument {
    /// The parameter's name.
    pub name: Cow<'static, str>,
    /// The serialized value.
    pub value: Payload,
}

/// The workflow that an invocation belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WorkflowIdentity {
    /// The invocation that started the workflow.
    pub id: InvocationId,
    /// The workflow that this workflow was called from.
    pub parent: Option<InvocationId>,
}

/// The W3C trace context of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    /// The `traceparent` header's value.
    pub traceparent: Box<str>,
    /// The `tracestate` header's value.
    pub tracestate: Option<Box<str>>,
}

impl TraceContext {
    /// Checks that `traceparent` has the format of W3C Trace Context, of version 00 or later.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the format is another one.
    pub fn check(&self) -> Result<()> {
        let parts: Vec<&str> = self.traceparent.split('-').collect();
        let is_hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_id = |text: &str, length| is_hex(text, length) && text.bytes().any(|byte| byte != b'0');
        let is_parent = match parts[..] {
            [version, trace, parent, flags] => {
                is_hex(version, 2) && version != "ff" && is_id(trace, 32) && is_id(parent, 16) && is_hex(flags, 2)
            }
            [version, trace, parent, flags, ..] => {
                is_hex(version, 2) && version != "00" && is_id(trace, 32) && is_id(parent, 16) && is_hex(flags, 2)
            }
            _ => false,
        };
        if is_parent { Ok(()) } else { Err(invalid_traceparent(&self.traceparent)) }
    }
}

fn invalid_traceparent(found: &str) -> Error {
    let expected = "`00-`, then 32, 16 and 2 lower-case hexadecimal digits separated by `-`";
    Error::invalid("invalid traceparent").with("expected", expected).with("found", found)
}

/// The call that an invocation runs, with its options and its origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvocationRecord {
    /// The invocation's id.
    pub id: InvocationId,
    /// The task that was called.
    pub task: TaskId,
    /// The arguments, in the order of the parameters.
    pub arguments: Vec<Argument>,
    /// The serializer that encoded the arguments and decodes them.
    pub serializer: Cow<'static, str>,
    /// The invocation's queue.
    pub queue: QueueName,
    /// The priority in the queue.
    pub priority: Priority,
    /// The call's own timeout, if it has one.
    pub timeout: Option<Duration>,
    /// The call's own number of retries, if it has one.
    pub max_retries: Option<u32>,
    /// The invocation whose task function made the call.
    pub parent: Option<InvocationId>,
    /// The workflow that the invocation belongs to.
    pub workflow: Option<WorkflowIdentity>,
    /// The finished invocation that this invocation repeats.
    pub retry_of: Option<InvocationId>,
    /// The context of the call in a distributed trace.
    pub trace: Option<TraceContext>,
    /// When the client created the invocation, by the client's clock. For information only.
    pub created_at: Timestamp,
    /// The due time that the caller chose, by the client's clock. For information only: the invocation's status has the
    /// due time that counts.
    pub due: Option<Timestamp>,
}

/// The key of registration concurrency control: of the invocations with one key, only one may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RegistrationKey {
    /// The digest of the task, of the task with all its arguments, or of the task with some of them.
    pub key: Digest,
    /// The digest of all arguments, to find out whether two calls with one key differ.
    pub arguments: Digest,
}

/// The treatment of an invocation that finds no free slot of its concurrency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenBlocked {
    /// Parks the invocation until it gets a slot.
    Park,
    /// Finishes the invocation as `concurrency_controlled_final` if it has never run; parks it otherwise.
    #[serde(rename = "end")]
    Drop,
}

/// The key of running concurrency control, a semaphore: a limited number of invocations with one key run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunningKey {
    /// The digest of the task, of the task with all its arguments, or of the task with some of them.
    pub key: Digest,
    /// The number of slots, at least one.
    pub limit: u32,
    /// The treatment of an invocation that finds no free slot.
    pub when_blocked: WhenBlocked,
}

/// The name that a caller gives to one intended call, so that submitting the call again has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IdempotencyKey {
    /// The name, unique within the task.
    pub key: Box<str>,
    /// The digest of the call's arguments.
    pub arguments: Digest,
}

/// How long an invocation is kept after it has finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// After `success`, `cancelled` and `concurrency_controlled_final`.
    pub results: Duration,
    /// After `failed`.
    pub failures: Duration,
}

impl Default for Retention {
    /// Keeps results for a day and failures for a week.
    fn default() -> Self {
        Self { results: Duration::from_secs(24 * 3600), failures: Duration::from_secs(7 * 24 * 3600) }
    }
}

/// The request to register an invocation with the orchestrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The invocation's id, chosen by the caller.
    pub id: InvocationId,
    /// The task.
    pub task: TaskId,
    /// The queue.
    pub queue: QueueName,
    /// The priority in the queue.
    pub priority: Priority,
    /// The earliest time of a claim.
    pub due: Option<Due>,
    /// The key of registration concurrency control, if the task uses that.
    pub registration: Option<RegistrationKey>,
    /// The key of running concurrency control, if the task uses that.
    pub running: Option<RunningKey>,
    /// The caller's idempotency key.
    pub idempotency: Option<IdempotencyKey>,
    /// How long the invocation is kept after it has finished.
    pub retention: Retention,
}

impl Registration {
    /// Creates a registration without keys and due time.
    pub fn new(id: InvocationId, task: TaskId, queue: QueueName) -> Self {
        Self {
            id,
            task,
            queue,
            priority: Priority::default(),
            due: None,
            registration: None,
            running: None,
            idempotency: None,
            retention: Retention::default(),
        }
    }
}

/// The error of a task function, as plain data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct TaskError {
    /// The name of the error's type without its path, or the name of the variant if the type provides it.
    pub kind: String,
    /// The error's message.
    pub message: String,
    /// The messages of the error's sources, nearest first.
    pub source_chain: Vec<String>,
    /// The number of the failed attempt, counted from one.
    pub attempt: u32,
}

/// The outcome of a task function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The serialized value.
    Value {
        /// The value.
        value: Payload,
        /// The serializer that encoded the value.
        serializer: Cow<'static, str>,
    },
    /// The error of the last attempt.
    Error(TaskError),
    /// The error of the last attempt as JSON, if its text is too large to be stored inline.
    LargeError(Payload),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_that_others_wait_for_exceeds_the_highest_priority_of_callers() {
        let raised: Vec<_> = [0, 1, 2, usize::MAX].map(|waiters| Priority::new(200).raised(waiters)).into();
        assert_eq!(raised[0].level(), 9);
        assert!(raised.is_sorted());
        assert_eq!(raised[3], Priority::MAX);
    }

    #[test]
    fn the_format_of_a_traceparent_is_checked() {
        let check = |traceparent: &str| TraceContext { traceparent: traceparent.into(), tracestate: None }.check();
        let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        assert!(check(&format!("00-{trace}-{parent}-01")).is_ok());
        assert!(check(&format!("01-{trace}-{parent}-01-more")).is_ok(), "a later version may have more parts");
        let zeros = ["0".repeat(32), "0".repeat(16)];
        for wrong in [
            String::new(),
            format!("00-{trace}-{parent}-01-more"),
            format!("ff-{trace}-{parent}-01"),
            format!("00-{}-{parent}-01", trace.to_uppercase()),
            format!("00-{}-{parent}-01", zeros[0]),
            format!("00-{trace}-{}-01", zeros[1]),
            format!("00-{trace}-{parent}"),
        ] {
            assert!(check(&wrong).unwrap_err().to_string().contains("traceparent"), "{wrong}");
        }
    }

    #[test]
    fn debug_output_hides_payloads() {
        assert_eq!(format!("{:?}", Payload::Inline(Bytes::from_static(b"secret"))), "Inline(6 bytes)");
    }
}
