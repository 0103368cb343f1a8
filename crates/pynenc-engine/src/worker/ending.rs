//! What an attempt comes to, decided without doing anything.

use std::time::Duration;

use pynenc_core::record::{InvocationRecord, TaskError};
use pynenc_core::status::{By, Change, Due};
use pynenc_core::task_options::TaskOptions;
use pynenc_core::{Reason, RunnerId, Status, StatusRecord, TaskId};

use super::guided::Halt;
use crate::returns::{Failure, RetryWish};

/// What an attempt comes to.
#[derive(Debug)]
pub(super) enum Ending {
    /// The body returned; the value is encoded.
    Value(Vec<u8>),
    /// The body failed, and may be run again.
    Failed { error: TaskError, reason: Reason, wish: RetryWish },
    /// The invocation can't be run at all.
    Unrunnable { reason: Reason, detail: String },
    /// The invocation's end was asked for.
    Cancelled,
    /// Its body has put it aside.
    PutAside(Option<Due>),
    /// The runner gives it back.
    GivenBack { reason: Reason },
    /// Another runner owns it; nothing is to be said.
    Lost,
}

impl Ending {
    pub(super) fn of_failure(failure: Failure, task: &TaskId, attempt: u32) -> Self {
        match failure {
            Failure::Returned { kind, message, source_chain, retry } => {
                let error = TaskError { kind, message, source_chain, attempt };
                Self::Failed { error, reason: Reason::Raised, wish: retry }
            }
            Failure::Arguments(error) => Self::unrunnable(Reason::CorruptRecord, &error),
            Failure::Injection(error) => {
                Self::failed("Injection", error.to_string(), attempt, Reason::Raised, RetryWish::Never)
            }
            Failure::Value(error) => Self::rejected(&error.with("task", task), attempt),
        }
    }

    pub(super) fn unrunnable(reason: Reason, error: &pynenc_core::Error) -> Self {
        Self::Unrunnable { reason, detail: error.to_string() }
    }

    pub(super) fn panicked(message: String, attempt: u32) -> Self {
        Self::failed("Panic", message, attempt, Reason::Raised, RetryWish::ByOptions)
    }

    pub(super) fn timed_out(limit: Duration, attempt: u32) -> Self {
        let message = format!("ran longer than {}", humantime::format_duration(limit));
        Self::failed("Timeout", message, attempt, Reason::TimedOut, RetryWish::ByOptions)
    }

    /// A value that can't be stored is the fault of its body, and the next run would return the like.
    pub(super) fn rejected(error: &pynenc_core::Error, attempt: u32) -> Self {
        Self::failed("ResultRejected", error.to_string(), attempt, Reason::ResultRejected, RetryWish::Never)
    }

    /// What an extension has made of it.
    pub(super) fn halted(halt: Halt, attempt: u32) -> Self {
        match halt {
            Halt::PutAside(due) => Self::PutAside(due),
            Halt::Lost => Self::Lost,
            Halt::Mismatch(mismatch) => {
                let error = mismatch.into_task_error(attempt);
                Self::Failed { error, reason: Reason::NonDeterminism, wish: RetryWish::Never }
            }
        }
    }

    fn failed(kind: &str, message: String, attempt: u32, reason: Reason, wish: RetryWish) -> Self {
        let error = TaskError { kind: kind.to_owned(), message, source_chain: Vec::new(), attempt };
        Self::Failed { error, reason, wish }
    }
}

/// The history tells so many bytes of an error, and the outcome all of it.
const TOLD: usize = 2048;

fn told(error: &TaskError) -> String {
    let text = error.to_string();
    match text.char_indices().find(|(place, _)| *place >= TOLD) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The transition of a failed attempt, and its error where it was the last.
pub(super) fn after_failure(
    options: &TaskOptions,
    record: &InvocationRecord,
    retries: u32,
    runner: RunnerId,
    (error, reason, wish): (TaskError, Reason, RetryWish),
) -> (Option<TaskError>, Change) {
    let by = By::Owner(runner);
    let detail = told(&error);
    match retry_delay(options, record, retries, wish) {
        Some(delay) => (None, Change::new(Status::Retry, by, reason).due(Due::In(delay)).detail(detail)),
        None => (Some(error), Change::new(Status::Failed, by, reason).detail(detail)),
    }
}

fn retry_delay(options: &TaskOptions, record: &InvocationRecord, retries: u32, wish: RetryWish) -> Option<Duration> {
    let limit = record.max_retries.unwrap_or(options.max_retries);
    match wish {
        RetryWish::Never => None,
        _ if retries >= limit => None,
        RetryWish::After(delay) => Some(delay),
        RetryWish::ByOptions => Some(options.backoff.delay(retries + 1, spread(record, retries))),
    }
}

/// A number in 0..1 that spreads the retries of different invocations, and is the same when a retry is worked out again.
fn spread(record: &InvocationRecord, retries: u32) -> f64 {
    use std::hash::{BuildHasher, BuildHasherDefault};
    let hash = BuildHasherDefault::<rustc_hash::FxHasher>::default().hash_one((record.id, retries));
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

/// What recovery makes of an invocation whose owner was lost.
pub(super) fn after_loss(record: &StatusRecord, owner: RunnerId, poison_losses: u32) -> Change {
    let detail = format!("runner {owner}");
    if record.cancel_requested {
        return Change::new(Status::Cancelled, By::System, Reason::CancelRequested).detail(detail);
    }
    if record.status == Status::Running && record.losses + 1 >= poison_losses {
        let detail = format!("took down {} runners, the last of them {owner}", record.losses + 1);
        return Change::new(Status::Failed, By::System, Reason::PoisonPill).detail(detail);
    }
    Change::new(Status::Rerouted, By::System, Reason::OwnerLost).detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pynenc_core::task_options::Backoff;
    use pynenc_core::{InvocationId, Timestamp};

    fn record(max_retries: Option<u32>) -> InvocationRecord {
        InvocationRecord {
            id: InvocationId::new(),
            task: "t".into(),
            arguments: Vec::new(),
            serializer: "JsonSerializer".into(),
            queue: "default".into(),
            priority: pynenc_core::record::Priority::default(),
            timeout: None,
            max_retries,
            parent: None,
            workflow: None,
            retry_of: None,
            trace: None,
            created_at: Timestamp::from_millis(0),
        }
    }

    fn options(max_retries: u32) -> TaskOptions {
        TaskOptions { max_retries, backoff: Backoff::Constant(Duration::from_secs(7)), ..TaskOptions::default() }
    }

    #[test]
    fn retries_end_with_their_number_and_the_call_is_heard_first() {
        let delay =
            |options: u32, call, retries, wish| retry_delay(&self::options(options), &record(call), retries, wish);
        assert_eq!(delay(1, None, 0, RetryWish::ByOptions), Some(Duration::from_secs(7)));
        assert_eq!(delay(1, None, 1, RetryWish::ByOptions), None);
        assert_eq!(delay(0, Some(2), 1, RetryWish::ByOptions), Some(Duration::from_secs(7)));
        assert_eq!(delay(3, Some(0), 0, RetryWish::After(Duration::ZERO)), None);
        assert_eq!(delay(3, None, 0, RetryWish::Never), None);
        assert_eq!(delay(3, None, 0, RetryWish::After(Duration::from_secs(1))), Some(Duration::from_secs(1)));
    }

    #[test]
    fn the_spread_is_within_its_bounds_and_stable() {
        let record = record(None);
        for retries in 0..100 {
            let spread = spread(&record, retries);
            assert!((0.0..1.0).contains(&spread));
            assert!((spread - super::spread(&record, retries)).abs() < f64::EPSILON);
        }
    }

    #[test]
    fn a_loss_reroutes_until_it_is_poison() {
        let owner = RunnerId::new();
        let mut record = StatusRecord::registered(None, Timestamp::from_millis(0));
        record.status = Status::Running;
        let mut check = |status, losses, cancel_requested, expected: (Status, Reason)| {
            (record.status, record.losses, record.cancel_requested) = (status, losses, cancel_requested);
            let change = after_loss(&record, owner, 3);
            assert_eq!((change.to, change.reason), expected);
        };
        check(Status::Running, 0, false, (Status::Rerouted, Reason::OwnerLost));
        check(Status::Running, 2, false, (Status::Failed, Reason::PoisonPill));
        check(Status::Pending, 2, false, (Status::Rerouted, Reason::OwnerLost));
        check(Status::Paused, 2, false, (Status::Rerouted, Reason::OwnerLost));
        check(Status::Running, 2, true, (Status::Cancelled, Reason::CancelRequested));
    }
}
