//! What is stored of an invocation beside its status: facts that don't change once they are written.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{Digest, InvocationId, QueueName, TaskId};
use crate::status::Due;

/// A place in the queue: greater goes first. Callers choose 0 to 9; what others wait for is raised above all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priority(u16);

impl Priority {
    /// The greatest priority that a caller may choose.
    pub const HIGHEST: u8 = 9;
    /// The greatest priority there is.
    pub const MAX: Self = Self(1023);
    const RAISED: u16 = 16;

    /// The priority a caller asked for, cut to the greatest that callers may have.
    pub const fn new(level: u8) -> Self {
        Self(if level > Self::HIGHEST { Self::HIGHEST } else { level } as u16)
    }

    /// The priority of what `waiters` invocations wait for.
    #[must_use]
    pub fn raised(self, waiters: usize) -> Self {
        let waiters = u16::try_from(waiters).unwrap_or(u16::MAX);
        if waiters == 0 { self } else { Self(Self::RAISED.saturating_add(waiters)).min(Self::MAX) }
    }

    /// The priority as a number, from 0 to 1023.
    pub const fn level(self) -> u16 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self(5)
    }
}

/// A serialized value: where it stands, or where it is to be found.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// The bytes themselves.
    Inline(Bytes),
    /// Content of the argument cache. A reference is made by the engine alone: what a user passes is always encoded.
    External {
        /// The digest of the content, which is also its key.
        digest: Digest,
        /// The content's length in bytes.
        size: u64,
    },
}

impl Payload {
    /// The digest of the content, if it is in the argument cache.
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Self::Inline(_) => None,
            Self::External { digest, .. } => Some(*digest),
        }
    }

    /// The length of the value in bytes, wherever it is.
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
    /// The invocation that founded it.
    pub id: InvocationId,
    /// The workflow that the founder was called from.
    pub parent: Option<InvocationId>,
}

/// The W3C trace context that a call was made in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    /// The `traceparent` header's value.
    pub traceparent: Box<str>,
    /// The `tracestate` header's value.
    pub tracestate: Option<Box<str>>,
}

impl TraceContext {
    /// Checks that the parent is one of W3C Trace Context, of version 00 or a later one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid).
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
        if is_parent { Ok(()) } else { Err(not_a_parent(&self.traceparent)) }
    }
}

fn not_a_parent(found: &str) -> Error {
    let error = Error::invalid("a traceparent is `00-` and 32, 16 and 2 small hexadecimal digits with `-` between");
    error.with("found", found)
}

/// What a runner needs to run an invocation, and a person to understand it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvocationRecord {
    /// Its identity.
    pub id: InvocationId,
    /// The task that was called.
    pub task: TaskId,
    /// The arguments, in the order of the parameters.
    pub arguments: Vec<Argument>,
    /// The serializer that wrote the arguments and reads them.
    pub serializer: Cow<'static, str>,
    /// The queue it goes through.
    pub queue: QueueName,
    /// Its place in the queue.
    pub priority: Priority,
    /// The call's own time limit, where it has one.
    pub timeout: Option<Duration>,
    /// The call's own number of retries, where it has one.
    pub max_retries: Option<u32>,
    /// The invocation whose body called it.
    pub parent: Option<InvocationId>,
    /// The workflow it belongs to.
    pub workflow: Option<WorkflowIdentity>,
    /// The finished invocation that it repeats.
    pub retry_of: Option<InvocationId>,
    /// Where it stands in a distributed trace.
    pub trace: Option<TraceContext>,
    /// When the client made it, by the client's clock; nothing is decided by it.
    pub created_at: Timestamp,
}

/// Which waiting invocations are one and the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RegistrationKey {
    /// The key: of the task, of all arguments, or of some.
    pub key: Digest,
    /// All arguments, so that a difference can be told.
    pub arguments: Digest,
}

/// What happens to an invocation that finds every slot of its key taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenBlocked {
    /// It is parked until a slot is handed to it.
    Park,
    /// It ends as `concurrency_controlled_final` if it has never run, and is parked otherwise.
    End,
}

/// How many invocations of one key may be claimed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunningKey {
    /// The key: of the task, of all arguments, or of some.
    pub key: Digest,
    /// The number of slots, at least one.
    pub limit: u32,
    /// What happens without a free one.
    pub when_blocked: WhenBlocked,
}

/// A caller's name for one intended call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IdempotencyKey {
    /// The name, scoped to the task.
    pub key: Box<str>,
    /// The arguments it stands for.
    pub arguments: Digest,
}

/// How long an invocation is kept after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// After `success`, `cancelled` and `concurrency_controlled_final`.
    pub results: Duration,
    /// After `failed`.
    pub failures: Duration,
}

impl Default for Retention {
    /// A day for results, a week for failures.
    fn default() -> Self {
        Self { results: Duration::from_secs(24 * 3600), failures: Duration::from_secs(7 * 24 * 3600) }
    }
}

/// What the orchestrator has to know to accept an invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Its identity, chosen by the caller.
    pub id: InvocationId,
    /// Its task.
    pub task: TaskId,
    /// Its queue.
    pub queue: QueueName,
    /// Its place in the queue.
    pub priority: Priority,
    /// Not before then.
    pub due: Option<Due>,
    /// Registration control, where the task asks for it.
    pub registration: Option<RegistrationKey>,
    /// Running control, where the task asks for it.
    pub running: Option<RunningKey>,
    /// The caller's name for this call.
    pub idempotency: Option<IdempotencyKey>,
    /// How long it is kept after its end.
    pub retention: Retention,
}

impl Registration {
    /// A registration without keys, to be claimed at once.
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

/// An error of a task's body, as plain data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct TaskError {
    /// The error type's name without its path, or the variant's where the type tells it.
    pub kind: String,
    /// The error's message.
    pub message: String,
    /// The messages of its sources, nearest first.
    pub source_chain: Vec<String>,
    /// The attempt that failed, counted from one.
    pub attempt: u32,
}

/// What a body left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The serialized value.
    Value {
        /// The value.
        value: Payload,
        /// The serializer that wrote it.
        serializer: Cow<'static, str>,
    },
    /// The error of the last attempt.
    Error(TaskError),
    /// The same, as JSON, where its text is too large to stand here.
    LargeError(Payload),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wait_for_goes_before_what_callers_may_choose() {
        let raised: Vec<_> = [0, 1, 2, usize::MAX].map(|waiters| Priority::new(200).raised(waiters)).into();
        assert_eq!(raised[0].level(), 9);
        assert!(raised.is_sorted());
        assert_eq!(raised[3], Priority::MAX);
    }

    #[test]
    fn a_traceparent_is_checked() {
        let check = |traceparent: &str| TraceContext { traceparent: traceparent.into(), tracestate: None }.check();
        let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        assert!(check(&format!("00-{trace}-{parent}-01")).is_ok());
        assert!(check(&format!("01-{trace}-{parent}-01-more")).is_ok(), "a later version may say more");
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
