//! Tasks: their options, and statistics of their last invocations.

use std::collections::{BTreeMap, BTreeSet};

use pynenc_core::config::duration;
use pynenc_core::orchestrator::{Find, Inspection};
use pynenc_core::task_options::Fence;
use pynenc_core::{Reason, Status, TaskId};
use pynenc_engine::task::RegisteredTask;
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::state::WebState;
use crate::units::millis;

/// The number of finished invocations of which statistics are made.
const SAMPLE: usize = 500;

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Task {
    pub(crate) name: String,
    /// The number of runners that are alive and know the task.
    pub(crate) runners: u64,
    /// The names of its parameters; missing if the program of the server doesn't have the task. Only tasks that it has can be
    /// submitted through the API.
    pub(crate) parameters: Option<Vec<String>>,
    /// The options that apply in the program of the server, as text.
    pub(crate) options: BTreeMap<String, String>,
}

/// Statistics of the last finished invocations of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct TaskStatistics {
    /// The number of invocations of which the statistics are made: the last finished ones in the order of their submission,
    /// at most 500.
    pub(crate) finished: u64,
    /// The number of failed ones among them.
    pub(crate) failed: u64,
    /// The number of their failed attempts that were retried.
    pub(crate) retries: u64,
    /// The time from the start of the last attempt to its end: the median, and the one that 5 % exceed.
    pub(crate) median_ms: Option<u64>,
    pub(crate) p95_ms: Option<u64>,
    pub(crate) longest_ms: Option<u64>,
    /// The time from the submit to the first start: the median, and the one that 5 % exceed.
    pub(crate) wait_median_ms: Option<u64>,
    pub(crate) wait_p95_ms: Option<u64>,
    /// The durations of the last attempts.
    pub(crate) durations: Vec<Bucket>,
    /// How often each reason or kind of error made an invocation fail, the most frequent first.
    pub(crate) errors: Vec<ErrorCount>,
}

/// A range of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Bucket {
    /// The range ends before this duration. Each range begins where the one before ends.
    pub(crate) below_ms: u64,
    pub(crate) count: u64,
}

/// How often an error occurred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ErrorCount {
    /// The reason, followed by the kind of the task function's error if that is known.
    pub(crate) kind: String,
    pub(crate) count: u64,
}

/// Lists the tasks of this program and those that runners know.
pub(crate) async fn tasks(state: &WebState) -> Result<Vec<Task>, Problem> {
    let reading = state.readings.state(&state.app).await?;
    let mut runners: BTreeMap<TaskId, u64> = BTreeMap::new();
    let introductions = reading.alive().filter_map(|runner| runner.introduction.as_ref());
    introductions.flat_map(|it| &it.tasks).for_each(|task| *runners.entry(task.clone()).or_default() += 1);
    let own = state.app.tasks().all().into_iter().map(|task| task.id().clone());
    let names: BTreeSet<TaskId> = own.chain(runners.keys().cloned()).collect();
    let task = |name: TaskId| {
        let registered = state.app.tasks().find(name.as_str());
        Task {
            runners: runners.get(&name).copied().unwrap_or_default(),
            parameters: registered.map(|task| parameters(task)),
            options: registered.map(|task| options(task)).unwrap_or_default(),
            name: name.to_string(),
        }
    };
    Ok(names.into_iter().map(task).collect())
}

/// Reads a task, which may be unknown to this program and to all runners.
pub(crate) async fn task(state: &WebState, name: &str) -> Result<Task, Problem> {
    let known = tasks(state).await?.into_iter().find(|task| task.name == name);
    known.ok_or_else(|| Problem::not_found(format!("neither this program nor a runner knows the task `{name}`")))
}

fn parameters(task: &RegisteredTask) -> Vec<String> {
    task.definition().arguments.iter().map(|name| (*name).to_owned()).collect()
}

fn options(task: &RegisteredTask) -> BTreeMap<String, String> {
    let options = task.options();
    let fence = match options.fence {
        Fence::Run => "run",
        Fence::Cancel => "cancel",
    };
    let shown = [
        ("queue", options.queue.clone()),
        ("priority", options.priority.to_string()),
        ("max_retries", options.max_retries.to_string()),
        ("backoff", options.backoff.to_string()),
        ("timeout", options.timeout.map_or_else(|| "none".to_owned(), duration::text)),
        ("registration_concurrency", options.registration_concurrency.to_string()),
        ("running_concurrency", options.running_concurrency.to_string()),
        ("running_limit", options.running_limit.to_string()),
        ("reroute_on_concurrency_control", options.reroute_on_concurrency_control.to_string()),
        ("on_diff_non_key_args_raise", options.on_diff_non_key_args_raise.to_string()),
        ("disable_cache_args", options.disable_cache_args.join(", ")),
        ("force_new_workflow", options.force_new_workflow.to_string()),
        ("fence", fence.to_owned()),
    ];
    shown.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Makes the statistics of a task, from the histories of its last finished invocations.
pub(crate) async fn statistics(state: &WebState, task: &str) -> Result<TaskStatistics, Problem> {
    let statuses = Status::ALL.iter().copied().filter(|status| status.is_final()).collect();
    let find = Find { statuses, task: Some(task.into()), newest_first: true, limit: SAMPLE, ..Find::default() };
    let page = state.app.parts().orchestrator.find(&find).await?;
    let ids: Vec<_> = page.items.iter().map(|item| item.id).collect();
    if ids.is_empty() {
        return Ok(TaskStatistics::default());
    }
    let inspections = state.app.parts().orchestrator.inspect(&ids).await?;
    Ok(TaskStatistics::of(inspections.into_iter().flatten()))
}

impl TaskStatistics {
    fn of(finished: impl Iterator<Item = Inspection>) -> Self {
        let (mut statistics, mut runs, mut waits) = (Self::default(), Vec::new(), Vec::new());
        let mut errors: BTreeMap<String, u64> = BTreeMap::new();
        for Inspection { tracked, history, .. } in finished {
            statistics.finished += 1;
            statistics.retries += u64::from(tracked.record.retries);
            if tracked.record.status == Status::Failed {
                statistics.failed += 1;
                *errors
                    .entry(error_kind(tracked.record.reason, history.last().and_then(|it| it.detail.as_deref())))
                    .or_default() += 1;
            }
            let is_start = |reason: Reason| reason == Reason::Started;
            let (first, last) = (
                history.iter().find(|entry| is_start(entry.reason)),
                history.iter().rfind(|entry| is_start(entry.reason)),
            );
            runs.extend(last.map(|started| millis(tracked.record.at.since(started.at))));
            waits.extend(first.zip(history.first()).map(|(started, submitted)| millis(started.at.since(submitted.at))));
        }
        runs.sort_unstable();
        waits.sort_unstable();
        let mut errors: Vec<_> = errors.into_iter().map(|(kind, count)| ErrorCount { kind, count }).collect();
        errors.sort_by_key(|error| std::cmp::Reverse(error.count));
        Self {
            median_ms: quantile(&runs, 50),
            p95_ms: quantile(&runs, 95),
            longest_ms: runs.last().copied(),
            wait_median_ms: quantile(&waits, 50),
            wait_p95_ms: quantile(&waits, 95),
            durations: buckets(&runs),
            errors,
            ..statistics
        }
    }
}

/// The kind of an error: a message of a task function's error begins with its kind and a colon.
fn error_kind(reason: Reason, detail: Option<&str>) -> String {
    let is_word = |kind: &&str| !kind.is_empty() && kind.chars().all(|char| char.is_alphanumeric() || char == '_');
    let kind = detail.and_then(|detail| detail.split_once(": ")).map(|(kind, _)| kind).filter(is_word);
    match kind {
        Some(kind) if reason == Reason::Raised => format!("{reason}: {kind}"),
        _ => reason.to_string(),
    }
}

/// The value that is greater than or equal to so many percent of the sorted values.
fn quantile(sorted: &[u64], percent: usize) -> Option<u64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last * percent).div_ceil(100)).copied()
}

/// Counts sorted durations in ranges whose limits double, from the range of the shortest to that of the longest.
fn buckets(sorted: &[u64]) -> Vec<Bucket> {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    let limit = |value: u64| (value + 1).checked_next_power_of_two().unwrap_or(u64::MAX);
    let mut buckets = Vec::new();
    let mut below_ms = limit(*first);
    let mut rest = sorted;
    loop {
        let (within, above) = rest.split_at(rest.partition_point(|value| *value < below_ms));
        buckets.push(Bucket { below_ms, count: within.len() as u64 });
        rest = above;
        if *last < below_ms {
            return buckets;
        }
        below_ms = below_ms.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_in_ranges() {
        let counted = |sorted: &[u64]| {
            buckets(sorted).into_iter().map(|bucket| (bucket.below_ms, bucket.count)).collect::<Vec<_>>()
        };
        assert_eq!(counted(&[]), []);
        assert_eq!(counted(&[0]), [(1, 1)]);
        assert_eq!(counted(&[3, 4, 5, 20]), [(4, 1), (8, 2), (16, 0), (32, 1)]);
    }

    #[test]
    fn quantiles_are_values_of_the_sample() {
        assert_eq!(quantile(&[], 50), None);
        assert_eq!(quantile(&[7], 95), Some(7));
        assert_eq!(quantile(&[1, 2, 3, 4, 5], 50), Some(3));
        assert_eq!(quantile(&[1, 2, 3, 4, 5], 95), Some(5));
    }

    #[test]
    fn an_error_is_named_by_its_kind() {
        assert_eq!(error_kind(Reason::Raised, Some("NoMoney: account 7 is empty")), "raised: NoMoney");
        assert_eq!(error_kind(Reason::Raised, Some("account 7: empty")), "raised");
        assert_eq!(error_kind(Reason::TimedOut, Some("Timeout: 3s")), "timed_out");
    }
}
