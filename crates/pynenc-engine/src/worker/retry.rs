//! Whether a failed attempt is retried, and when.

use std::time::Duration;

use pynenc_core::record::{InvocationRecord, TaskError};
use pynenc_core::status::{By, Change, Due};
use pynenc_core::task_options::TaskOptions;
use pynenc_core::{Reason, RunnerId, Status};

use crate::task::RetryRequest;

/// The history keeps about this many bytes of an error. The outcome keeps all of it.
const HISTORY_LENGTH: usize = 2048;

fn history_text(error: &TaskError) -> String {
    let text = error.to_string();
    match text.char_indices().find(|(position, _)| *position >= HISTORY_LENGTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The transition of a failed attempt, and its error if no retry follows.
pub(super) fn after_failure(
    options: &TaskOptions,
    record: &InvocationRecord,
    retries: u32,
    runner: RunnerId,
    (error, reason, retry): (TaskError, Reason, RetryRequest),
) -> (Option<TaskError>, Change) {
    let by = By::Owner(runner);
    let detail = history_text(&error);
    match retry_delay(options, record, retries, retry) {
        Some(delay) => (None, Change::new(Status::Retry, by, reason).due(Due::In(delay)).detail(detail)),
        None => (Some(error), Change::new(Status::Failed, by, reason).detail(detail)),
    }
}

fn retry_delay(
    options: &TaskOptions,
    record: &InvocationRecord,
    retries: u32,
    retry: RetryRequest,
) -> Option<Duration> {
    let limit = record.max_retries.unwrap_or(options.max_retries);
    match retry {
        RetryRequest::Never => None,
        _ if retries >= limit => None,
        RetryRequest::After(delay) => Some(delay),
        RetryRequest::ByOptions => Some(options.backoff.delay(retries + 1, jitter(record, retries))),
    }
}

/// The jitter of a retry, in 0..1. It differs between invocations, and is the same if the transition is made again.
fn jitter(record: &InvocationRecord, retries: u32) -> f64 {
    use std::hash::{BuildHasher, BuildHasherDefault};
    let hash = BuildHasherDefault::<rustc_hash::FxHasher>::default().hash_one((record.id, retries));
    (hash >> 11) as f64 / (1u64 << 53) as f64
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
            due: None,
        }
    }

    fn options(max_retries: u32) -> TaskOptions {
        TaskOptions { max_retries, backoff: Backoff::Constant(Duration::from_secs(7)), ..TaskOptions::default() }
    }

    #[test]
    fn the_calls_limit_of_retries_comes_before_the_tasks() {
        let delay =
            |options: u32, call, retries, retry| retry_delay(&self::options(options), &record(call), retries, retry);
        assert_eq!(delay(1, None, 0, RetryRequest::ByOptions), Some(Duration::from_secs(7)));
        assert_eq!(delay(1, None, 1, RetryRequest::ByOptions), None);
        assert_eq!(delay(0, Some(2), 1, RetryRequest::ByOptions), Some(Duration::from_secs(7)));
        assert_eq!(delay(3, Some(0), 0, RetryRequest::After(Duration::ZERO)), None);
        assert_eq!(delay(3, None, 0, RetryRequest::Never), None);
        assert_eq!(delay(3, None, 0, RetryRequest::After(Duration::from_secs(1))), Some(Duration::from_secs(1)));
    }

    #[test]
    fn the_jitter_is_stable_and_within_its_bounds() {
        let record = record(None);
        for retries in 0..100 {
            let jitter = jitter(&record, retries);
            assert!((0.0..1.0).contains(&jitter));
            assert!((jitter - super::jitter(&record, retries)).abs() < f64::EPSILON);
        }
    }
}
