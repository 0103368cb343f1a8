//! What can go wrong between a call and its value, each with a variant of its own.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use pynenc_core::names::did_you_mean;
use pynenc_core::record::TaskError;
use pynenc_core::{ErrorKind, InvocationId, TaskId};
use serde::{Deserialize, Serialize};

use crate::returns::VariantName;

/// The result of what users call; a second parameter names another error, as in a task's signature.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An argument that differs between a call and the waiting invocation that stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentDiff {
    /// The parameter's name.
    pub name: String,
    /// The waiting invocation's value, as far as it can be shown.
    pub existing: String,
    /// The call's value, as far as it can be shown.
    pub called: String,
}

impl fmt::Display for ArgumentDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} waits, called with {}", self.name, self.existing, self.called)
    }
}

/// Where the code of a workflow doesn't match its journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// The position of the operation.
    pub position: String,
    /// What is recorded there.
    pub recorded: String,
    /// What the code asked for.
    pub found: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}, {} is recorded, and the code has {}", self.position, self.recorded, self.found)
    }
}

impl Mismatch {
    pub(crate) fn into_task_error(self, attempt: u32) -> TaskError {
        let message = self.to_string();
        let Self { position, recorded, found } = self;
        TaskError { kind: "NonDeterminism".to_owned(), message, source_chain: vec![position, recorded, found], attempt }
    }

    /// The mismatch that a stored error tells of.
    pub(crate) fn of_task_error(error: TaskError) -> Result<Self, TaskError> {
        match <[String; 3]>::try_from(error.source_chain) {
            Ok([position, recorded, found]) => Ok(Self { position, recorded, found }),
            Err(source_chain) => Err(TaskError { source_chain, ..error }),
        }
    }
}

/// Why there is no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The task's body returned an error, panicked or outlived its time limit, on its last attempt.
    #[error("task failed (attempt {}): {_0}", _0.attempt)]
    TaskFailed(TaskError),
    /// Somebody asked for the invocation's end.
    #[error("invocation {0} was cancelled")]
    Cancelled(InvocationId),
    /// Running control ended the invocation before it ever ran.
    #[error("invocation {0} was dropped: its concurrency key had no free slot")]
    DroppedByConcurrencyControl(InvocationId),
    /// The invocation ended with a value that is no longer kept.
    #[error("the result of invocation {0} is no longer kept; see the setting retention.results")]
    ResultExpired(InvocationId),
    /// No such invocation, or one whose retention is over.
    #[error("there is no invocation {0}")]
    InvocationNotFound(InvocationId),
    /// Plain bodies kept too many threads after their time limit or their cancel.
    #[error(
        "the runner has ended, because plain bodies kept {0} threads after their end (`runner.max_abandoned_threads`): have them look at `is_cancelled`, or run what blocks in a process of its own"
    )]
    TooManyAbandonedThreads(usize),
    /// The caller's own time limit for waiting is over; the invocation goes on.
    #[error("no result within {}; the invocation goes on", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// A store can't be used for now.
    #[error("a store is unavailable: {source}")]
    Unavailable {
        /// Whether the same call may succeed later.
        retryable: bool,
        /// What the component says.
        source: pynenc_core::Error,
    },
    /// The idempotency key stands for a call with other arguments.
    #[error("the idempotency key `{key}` stands for invocation {existing}, which has other arguments")]
    IdempotencyConflict {
        /// The key.
        key: String,
        /// The invocation that has it.
        existing: InvocationId,
    },
    /// An invocation with the same registration key and other arguments waits, and the task refuses that.
    #[error("invocation {existing} waits with the same key and other arguments ({})", differences(diff))]
    ArgumentsDiffer {
        /// The waiting invocation.
        existing: InvocationId,
        /// What differs.
        diff: Vec<ArgumentDiff>,
    },
    /// An externalized argument is gone or was altered.
    #[error("the arguments of invocation {id} are unavailable: {detail}")]
    ArgumentsUnavailable {
        /// The invocation.
        id: InvocationId,
        /// What is missing.
        detail: String,
    },
    /// What is stored of the invocation is missing or can't be understood.
    #[error("the record of invocation {id} can't be used: {detail}")]
    CorruptRecord {
        /// The invocation.
        id: InvocationId,
        /// What is wrong.
        detail: String,
    },
    /// The workflow's code no longer matches its journal, which is kept: put the code right, and retry the invocation.
    #[error("workflow {id} no longer matches its journal: {mismatch}")]
    NonDeterminism {
        /// The invocation.
        id: InvocationId,
        /// The position, what is recorded there, and what was found.
        mismatch: Mismatch,
    },
    /// Operations of a workflow overlap in a way whose order may be another one in the next run.
    #[error(
        "{called} was called while {open} is open: which of them comes first may change from run to run. Call both before one of them is awaited, as in `join!(wf.step(..), wf.step(..))`, or give each its own `wf.branch(name)`"
    )]
    UnstableOrder {
        /// What was called.
        called: String,
        /// What was open.
        open: String,
    },
    /// The wait would never end: the invocations wait for each other.
    #[error("invocations wait for each other: {path}")]
    WaitCycle {
        /// The way from the waiter back to the waiter.
        path: String,
    },
    /// The invocation took down as many runners as one may.
    #[error("invocation {id} is a poison pill: {detail}")]
    PoisonPill {
        /// The invocation.
        id: InvocationId,
        /// The runners it took.
        detail: String,
    },
    /// The app doesn't know the task.
    #[error(
        "unknown task `{task}`; {}this app has {}. A crate's tasks are found when the program links it: `use the_crate as _;`, or list them with `.tasks(tasks![..])`",
        slip(task, known),
        listed(known)
    )]
    UnknownTask {
        /// The task.
        task: TaskId,
        /// What the app knows.
        known: Vec<TaskId>,
    },
    /// A call was awaited where no task runs.
    #[error(
        "a call can be awaited inside a task only; use `app.submit(call).await?.result().await`, or `TaskContext::scope` for code spawned by a task"
    )]
    NoContext,
    /// A task that is a plain function tried to wait.
    #[error(
        "the task `{0}` is a plain function and can't wait for others, because it would block a thread; make it an `async fn`"
    )]
    WaitInBlockingTask(TaskId),
    /// As many bodies wait in this runner as its setting allows.
    #[error("{0} bodies wait for others in this runner already; see the setting runner.max_paused")]
    TooManyPaused(usize),
    /// The runner lost its claim while the body ran; whatever the body does is not recorded.
    #[error("the claim on invocation {0} was lost to another runner")]
    ClaimLost(InvocationId),
    /// A parameter marked `#[inject]` can't be given.
    #[error("can't inject `{type_name}`: {advice}")]
    Injection {
        /// The parameter's type.
        type_name: &'static str,
        /// What to do.
        advice: String,
    },
    /// A setting is wrong.
    #[error("configuration: {0}")]
    Config(#[source] pynenc_core::Error),
    /// The call can't be made as it is.
    #[error("invalid call: {0}")]
    Invalid(#[source] pynenc_core::Error),
    /// An argument is larger than the setting `arg_cache.max_size`.
    #[error("{0}")]
    TooLarge(#[source] pynenc_core::Error),
    /// In synchronous mode nothing else is there to end the invocation.
    #[error(
        "invocation {0} can't go on in synchronous mode: it waits for something that only another runner could bring"
    )]
    StuckInSyncMode(InvocationId),
    /// A body's wish to be run again.
    #[error("{0}")]
    Retry(#[source] Retry),
    /// Any other fault of a component.
    #[error(transparent)]
    Component(pynenc_core::Error),
    /// An error of the user's own.
    #[error(transparent)]
    Other(Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// Wraps an error of the user's own, for tasks that return [`Result`].
    pub fn other(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// Whether the same call may succeed later.
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

/// The tasks that were probably meant.
fn slip(task: &TaskId, known: &[TaskId]) -> String {
    let question = did_you_mean(task.as_str(), known.iter().map(TaskId::as_str));
    question.map(|question| format!("{question} ")).unwrap_or_default()
}

fn listed(known: &[TaskId]) -> String {
    if known.is_empty() {
        return "none".to_owned();
    }
    known.iter().map(TaskId::as_str).collect::<Vec<_>>().join(", ")
}

/// An error by which a body asks to be run again, as long as it has retries left.
///
/// ```
/// use pynenc_engine::{Result, Retry};
/// use std::time::Duration;
///
/// async fn fetch() -> Result<String> {
///     Err(Retry::after(Duration::from_secs(30)).because("the service asked for patience"))?
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    after: Option<Duration>,
    reason: String,
}

impl Retry {
    /// Again after the task's own back-off.
    pub fn again() -> Self {
        Self { after: None, reason: "the body asked to be run again".to_owned() }
    }

    /// Again after `delay`, whatever the task's back-off says.
    pub fn after(delay: Duration) -> Self {
        Self { after: Some(delay), ..Self::again() }
    }

    /// Says why, for the history.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// The wished delay.
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
    fn an_unknown_task_is_explained() {
        let known = vec!["shop::add".into(), "shop::ship".into()];
        let text = Error::UnknownTask { task: "addd".into(), known }.to_string();
        let told = "unknown task `addd`; did you mean `shop::add`? this app has shop::add, shop::ship.";
        assert!(text.starts_with(told) && text.contains("use the_crate as _;"), "{text}");
    }
}
