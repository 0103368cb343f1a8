//! The error type of the public API, and [`Retry`], by which a task function asks for another attempt.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use pynenc_core::record::TaskError;
use pynenc_core::suggestions::did_you_mean;
use pynenc_core::{ErrorKind, InvocationId, TaskId};
use serde::{Deserialize, Serialize};

use crate::task::VariantName;

/// The result type of the public API. A second parameter names another error type, as in a task's signature.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An argument that differs between a call and the waiting invocation that the call was deduplicated to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentDiff {
    /// The parameter's name.
    pub name: String,
    /// The waiting invocation's value as text.
    pub existing: String,
    /// The call's value as text.
    pub called: String,
}

impl fmt::Display for ArgumentDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: waiting with {}, called with {}", self.name, self.existing, self.called)
    }
}

/// A position at which the code of a workflow doesn't match its journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// The position of the operation.
    pub position: String,
    /// The operation in the journal.
    pub recorded: String,
    /// The operation in the code.
    pub found: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at position {}, the journal has {}, but the code has {}", self.position, self.recorded, self.found)
    }
}

impl Mismatch {
    pub(crate) fn into_task_error(self, attempt: u32) -> TaskError {
        let message = self.to_string();
        let Self { position, recorded, found } = self;
        TaskError { kind: "NonDeterminism".to_owned(), message, source_chain: vec![position, recorded, found], attempt }
    }

    /// Reads a mismatch back from a stored error.
    pub(crate) fn of_task_error(error: TaskError) -> Result<Self, TaskError> {
        match <[String; 3]>::try_from(error.source_chain) {
            Ok([position, recorded, found]) => Ok(Self { position, recorded, found }),
            Err(source_chain) => Err(TaskError { source_chain, ..error }),
        }
    }
}

/// An error of the public API: why a call wasn't accepted, why an invocation has no value, or why another request
/// failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The task function returned an error, panicked or timed out, on its last attempt.
    #[error("task failed (attempt {}): {_0}", _0.attempt)]
    TaskFailed(TaskError),
    /// The invocation was cancelled.
    #[error("invocation {0} was cancelled")]
    Cancelled(InvocationId),
    /// Running concurrency control dropped the invocation before it ever ran.
    #[error("invocation {0} was dropped: its concurrency key had no free slot")]
    DroppedByConcurrencyControl(InvocationId),
    /// The invocation succeeded, but its value is no longer stored.
    #[error("the result of invocation {0} has expired; see the setting `retention.results`")]
    ResultExpired(InvocationId),
    /// The invocation doesn't exist, or its retention is over.
    #[error("there is no invocation {0}")]
    InvocationNotFound(InvocationId),
    /// Plain (non-`async`) task functions kept too many threads after a timeout or a cancel.
    #[error(
        "the runner stopped: {0} threads are still occupied by plain task functions that timed out or were cancelled, more than `runner.max_abandoned_threads` allows. Check `is_cancelled` in these functions, or run blocking code in a process of its own"
    )]
    TooManyAbandonedThreads(usize),
    /// The caller's own time limit for waiting is over; the invocation continues.
    #[error("no result within {}; the invocation continues", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// A store can't be reached, or it is full and refuses new calls. In the second case the kind of `source` is
    /// [`ErrorKind::StoreFull`].
    ///
    /// A submit with this error may have taken effect. Repeat it with an idempotency key.
    #[error("a store is unavailable: {source}")]
    Unavailable {
        /// Whether the same request may succeed later.
        retryable: bool,
        /// The component's error.
        source: pynenc_core::Error,
    },
    /// The idempotency key was used before, for a call with other arguments.
    #[error("the idempotency key `{key}` belongs to invocation {existing}, which has other arguments")]
    IdempotencyConflict {
        /// The key.
        key: String,
        /// The invocation that was submitted with this key.
        existing: InvocationId,
    },
    /// An invocation with the same registration key but other arguments already waits, and the task has the option
    /// `on_diff_non_key_args_raise`.
    #[error(
        "invocation {existing} is waiting with the same registration key but other arguments ({})",
        differences(diff)
    )]
    ArgumentsDiffer {
        /// The waiting invocation.
        existing: InvocationId,
        /// The arguments that differ.
        diff: Vec<ArgumentDiff>,
    },
    /// An argument in the argument cache is missing or was altered.
    #[error("the arguments of invocation {id} are unavailable: {detail}")]
    ArgumentsUnavailable {
        /// The invocation.
        id: InvocationId,
        /// The missing or altered content.
        detail: String,
    },
    /// The stored record of the invocation is missing or can't be decoded.
    #[error("the record of invocation {id} can't be used: {detail}")]
    CorruptRecord {
        /// The invocation.
        id: InvocationId,
        /// The problem with the record.
        detail: String,
    },
    /// The workflow's code no longer matches its journal. The journal is kept: fix the code and retry the invocation.
    #[error("workflow {id} no longer matches its journal: {mismatch}")]
    NonDeterminism {
        /// The invocation.
        id: InvocationId,
        /// The position, with the operations in the journal and in the code.
        mismatch: Mismatch,
    },
    /// Operations of a workflow overlap in an order that may change from run to run.
    #[error(
        "{called} was called while {open} is open: their order may change from run to run. Call both before you await one of them, as in `join!(wf.step(..), wf.step(..))`, or give each its own `wf.branch(name)`"
    )]
    UnstableOrder {
        /// The operation that was called.
        called: String,
        /// The operation that was still open.
        open: String,
    },
    /// Deadlock: the invocations wait for each other, so the wait would never be over.
    #[error("deadlock, because invocations wait for each other: {path}")]
    WaitCycle {
        /// The wait cycle, from the waiter back to the waiter.
        path: String,
    },
    /// The invocation took down as many runners as `runner.poison_losses` allows.
    #[error("invocation {id} is a poison pill: {detail}")]
    PoisonPill {
        /// The invocation.
        id: InvocationId,
        /// The runners that were lost.
        detail: String,
    },
    /// The app doesn't know the task.
    #[error(
        "unknown task `{task}`; {}this app has {}. Link the crate that defines the task with `use the_crate as _;`, or list its tasks with `.tasks(tasks![..])`",
        suggestion(task, known),
        listed(known)
    )]
    UnknownTask {
        /// The task.
        task: TaskId,
        /// The tasks that the app knows.
        known: Vec<TaskId>,
    },
    /// A call was awaited outside a task.
    #[error(
        "a call can be awaited only inside a task; elsewhere use `app.submit(call).await?.result().await`, or `TaskContext::scope` for code spawned by a task"
    )]
    NoContext,
    /// A plain (non-`async`) task function tried to wait for an invocation.
    #[error(
        "the task `{0}` is a plain function and can't wait for other invocations, because that would block a thread; make it an `async fn`"
    )]
    WaitInBlockingTask(TaskId),
    /// The task function can't wait for an invocation: in this runner, `runner.max_paused` task functions already do.
    #[error(
        "{0} task functions already wait for other invocations in this runner; see the setting `runner.max_paused`"
    )]
    TooManyPaused(usize),
    /// The runner lost its claim on the invocation while the task function ran: another runner took over, or the
    /// invocation has finished or was deleted. The outcome of this attempt isn't recorded.
    #[error("the claim on invocation {0} was lost to another runner")]
    ClaimLost(InvocationId),
    /// A parameter marked `#[inject]` can't be provided.
    #[error("can't inject `{type_name}`: {advice}")]
    Injection {
        /// The parameter's type.
        type_name: &'static str,
        /// How to fix it.
        advice: String,
    },
    /// A setting is invalid.
    #[error("configuration: {0}")]
    Config(#[source] pynenc_core::Error),
    /// The call is invalid.
    #[error("invalid call: {0}")]
    Invalid(#[source] pynenc_core::Error),
    /// An argument is larger than the setting `arg_cache.max_size`.
    #[error("{0}")]
    TooLarge(#[source] pynenc_core::Error),
    /// The invocation waits in synchronous mode, where no other runner can continue it.
    #[error(
        "invocation {0} can't continue in synchronous mode: it waits for something that only another runner could provide"
    )]
    StuckInSyncMode(InvocationId),
    /// The task function asked for another attempt.
    #[error("{0}")]
    Retry(#[source] Retry),
    /// Any other error of a component.
    #[error(transparent)]
    Component(pynenc_core::Error),
    /// An error type of the user's own.
    #[error(transparent)]
    Other(Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// Wraps an error type of the user's own, for tasks that return [`Result`].
    pub fn other(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// Returns whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { retryable: true, .. })
    }
}

impl VariantName for Error {
    fn variant_name(&self) -> String {
        let debug = format!("{self:?}");
        debug.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("Error").to_owned()
    }
}

impl From<pynenc_core::Error> for Error {
    fn from(error: pynenc_core::Error) -> Self {
        match error.kind() {
            ErrorKind::Unavailable | ErrorKind::StoreFull => {
                Self::Unavailable { retryable: error.is_retryable(), source: error }
            }
            ErrorKind::Config => Self::Config(error),
            ErrorKind::Invalid => Self::Invalid(error),
            ErrorKind::TooLarge => Self::TooLarge(error),
            _ => Self::Component(error),
        }
    }
}

impl From<Retry> for Error {
    fn from(retry: Retry) -> Self {
        Self::Retry(retry)
    }
}

fn differences(diff: &[ArgumentDiff]) -> String {
    diff.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A question that suggests the tasks with a similar name.
fn suggestion(task: &TaskId, known: &[TaskId]) -> String {
    let question = did_you_mean(task.as_str(), known.iter().map(TaskId::as_str));
    question.map(|question| format!("{question} ")).unwrap_or_default()
}

fn listed(known: &[TaskId]) -> String {
    if known.is_empty() {
        return "none".to_owned();
    }
    known.iter().map(TaskId::as_str).collect::<Vec<_>>().join(", ")
}

/// An error by which a task function asks for another attempt. The attempt is granted if a retry is left.
///
/// ```
/// use pynenc_engine::{Result, Retry};
/// use std::time::Duration;
///
/// async fn fetch() -> Result<String> {
///     Err(Retry::after(Duration::from_secs(30)).because("the service is overloaded"))?
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    after: Option<Duration>,
    reason: String,
}

impl Retry {
    /// Asks for a retry after the task's own back-off.
    pub fn again() -> Self {
        Self { after: None, reason: "the task function asked for a retry".to_owned() }
    }

    /// Asks for a retry after `delay`, instead of the task's back-off.
    pub fn after(delay: Duration) -> Self {
        Self { after: Some(delay), ..Self::again() }
    }

    /// Sets the reason for the invocation's history.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// The requested delay.
    pub fn delay(&self) -> Option<Duration> {
        self.after
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl StdError for Retry {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_component_errors_become_variants() {
        let check = |error: pynenc_core::Error, variant: &str| assert_eq!(Error::from(error).variant_name(), variant);
        check(pynenc_core::Error::unavailable("down"), "Unavailable");
        check(pynenc_core::Error::config("wrong"), "Config");
        check(pynenc_core::Error::invalid("no"), "Invalid");
        check(pynenc_core::Error::new(ErrorKind::TooLarge, "much"), "TooLarge");
        check(pynenc_core::Error::corrupt("odd"), "Component");
        assert!(Error::from(pynenc_core::Error::unavailable("down")).is_retryable());
    }

    #[test]
    fn an_unknown_task_error_suggests_a_name_and_lists_the_known_tasks() {
        let known = vec!["shop::add".into(), "shop::ship".into()];
        let text = Error::UnknownTask { task: "addd".into(), known }.to_string();
        let start = "unknown task `addd`; did you mean `shop::add`? this app has shop::add, shop::ship.";
        assert!(text.starts_with(start) && text.contains("use the_crate as _;"), "{text}");
    }
}
