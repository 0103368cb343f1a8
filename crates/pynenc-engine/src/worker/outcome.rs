//! The outcome of an attempt.

use std::time::Duration;

use pynenc_core::record::TaskError;
use pynenc_core::status::Due;
use pynenc_core::{Reason, TaskId};

use crate::attempt::Halt;
use crate::task::{Failure, RetryRequest};

/// The outcome of an attempt.
#[derive(Debug)]
pub(super) enum AttemptOutcome {
    /// The task function returned this encoded value.
    Returned(Vec<u8>),
    /// The task function failed. It may be retried.
    Failed { error: TaskError, reason: Reason, retry: RetryRequest },
    /// The invocation can't be run.
    Unrunnable { reason: Reason, detail: String },
    /// The invocation was cancelled.
    Cancelled,
    /// An extension suspended the invocation, until this time or until it is resumed.
    Suspended(Option<Due>),
    /// The runner gives the invocation back to its queue.
    GivenBack { reason: Reason },
    /// Another runner owns the invocation, so there is nothing to settle.
    Lost,
}

impl AttemptOutcome {
    pub(super) fn of_failure(failure: Failure, task: &TaskId, attempt: u32) -> Self {
        match failure {
            Failure::Returned { kind, message, source_chain, retry } => {
                let error = TaskError { kind, message, source_chain, attempt };
                Self::Failed { error, reason: Reason::Raised, retry }
            }
            Failure::Arguments(error) => Self::unrunnable(Reason::CorruptRecord, &error),
            Failure::Injection(error) => {
                Self::failed("Injection", error.to_string(), attempt, Reason::Raised, RetryRequest::Never)
            }
            Failure::Value(error) => Self::rejected(&error.with("task", task), attempt),
        }
    }

    pub(super) fn unrunnable(reason: Reason, error: &pynenc_core::Error) -> Self {
        Self::Unrunnable { reason, detail: error.to_string() }
    }

    pub(super) fn panicked(message: String, attempt: u32) -> Self {
        Self::failed("Panic", message, attempt, Reason::Raised, RetryRequest::ByOptions)
    }

    pub(super) fn timed_out(limit: Duration, attempt: u32) -> Self {
        let message = format!("ran longer than {}", humantime::format_duration(limit));
        Self::failed("Timeout", message, attempt, Reason::TimedOut, RetryRequest::ByOptions)
    }

    /// A value that can't be stored. It isn't retried, since the task function would return such a value again.
    pub(super) fn rejected(error: &pynenc_core::Error, attempt: u32) -> Self {
        Self::failed("ResultRejected", error.to_string(), attempt, Reason::ResultRejected, RetryRequest::Never)
    }

    /// The outcome that an extension's halt stands for.
    pub(super) fn halted(halt: Halt, attempt: u32) -> Self {
        match halt {
            Halt::Suspend(due) => Self::Suspended(due),
            Halt::Lost => Self::Lost,
            Halt::Mismatch(mismatch) => {
                let error = mismatch.into_task_error(attempt);
                Self::Failed { error, reason: Reason::NonDeterminism, retry: RetryRequest::Never }
            }
        }
    }

    fn failed(kind: &str, message: String, attempt: u32, reason: Reason, retry: RetryRequest) -> Self {
        let error = TaskError { kind: kind.to_owned(), message, source_chain: Vec::new(), attempt };
        Self::Failed { error, reason, retry }
    }
}
