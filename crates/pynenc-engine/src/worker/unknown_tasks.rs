//! Unknown tasks: tasks of claimed invocations whose code this worker's program doesn't have.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pynenc_core::broker::Message;
use pynenc_core::orchestrator::Tracked;
use pynenc_core::reads;
use pynenc_core::{Reason, TaskId, Timestamp};
use rustc_hash::FxHashMap;

use super::outcome::AttemptOutcome;
use crate::engine::Engine;
use crate::error::Result;

/// How long claims exclude a task after its first claim, doubled after each further claim.
const FIRST_EXCLUSION: Duration = Duration::from_secs(30);
/// The longest time for which claims exclude a task.
const LONGEST_EXCLUSION: Duration = Duration::from_secs(3600);
/// The shortest pause before a hint is due again. The pause grows with the time since the task's first claim.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause before a hint is due again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The unknown tasks that a worker has claimed. Later claims exclude these tasks, so that their hints go to other
/// runners and their invocations aren't changed.
#[derive(Debug, Default)]
pub(super) struct UnknownTasks(Mutex<FxHashMap<TaskId, Met>>);

#[derive(Debug)]
struct Met {
    since: Timestamp,
    times: u32,
    left_out_until: Timestamp,
}

impl UnknownTasks {
    fn met(&self) -> MutexGuard<'_, FxHashMap<TaskId, Met>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tasks that the next claim excludes. An exclusion expires, so that a later claim finds out whether the
    /// invocation has waited for too long.
    pub(super) fn left_out(&self, now: Timestamp) -> Vec<TaskId> {
        let met = self.met();
        met.iter().filter(|(_, met)| now < met.left_out_until).map(|(task, _)| task.clone()).collect()
    }

    /// Records that the task was claimed and excludes it for a time, at most for `ttl` unless that is zero. Returns
    /// whether to log the unknown task, which is once for each exclusion.
    fn exclude(&self, task: &TaskId, now: Timestamp, ttl: Duration) -> bool {
        let mut all = self.met();
        let met = all.entry(task.clone()).or_insert_with(|| Met { since: now, times: 0, left_out_until: now });
        if now < met.left_out_until {
            return false;
        }
        let longest = if ttl.is_zero() { LONGEST_EXCLUSION } else { LONGEST_EXCLUSION.min(ttl) };
        met.left_out_until = now + (FIRST_EXCLUSION * (1 << met.times.min(10))).min(longest);
        met.times += 1;
        true
    }

    /// The hint that offers an invocation to other runners after a pause.
    pub(super) fn hint(&self, tracked: &Tracked, now: Timestamp) -> Message {
        Message { not_before: Some(now + self.pause(&tracked.task, now)), ..tracked.message() }
    }

    fn pause(&self, task: &TaskId, now: Timestamp) -> Duration {
        let waited = self.met().get(task).map_or(Duration::ZERO, |met| now.since(met.since));
        (waited / 4).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
    }
}

/// Ends an attempt whose task this worker doesn't have: gives the invocation back, or fails it after `unknown_ttl`.
pub(super) async fn unknown_task(engine: &Engine, unknown: &UnknownTasks, tracked: &Tracked) -> AttemptOutcome {
    let ttl = engine.settings().runner.unknown_ttl;
    let error = engine.tasks().unknown(tracked.task.as_str());
    match has_waited_too_long(engine, tracked, ttl).await {
        Ok(true) => {
            let waited = humantime::format_duration(ttl);
            let detail = format!("no runner has known this task for {waited} (`runner.unknown_ttl`): {error}");
            return AttemptOutcome::Unrunnable { reason: Reason::UnknownTask, detail };
        }
        Ok(false) => {}
        Err(error) => tracing::debug!(%error, "can't determine how long the invocation of an unknown task has waited"),
    }
    if unknown.exclude(&tracked.task, engine.parts().clock.now(), ttl) {
        tracing::error!(%error, "this runner gives the invocation back, because another runner may have the task");
    }
    AttemptOutcome::GivenBack { reason: Reason::UnknownTask }
}

/// Returns whether the invocation was first given back for its unknown task at least `ttl` ago, and no live runner has
/// the task.
async fn has_waited_too_long(engine: &Engine, tracked: &Tracked, ttl: Duration) -> Result<bool> {
    if ttl.is_zero() || tracked.record.deliveries < 2 {
        return Ok(false);
    }
    let orchestrator = &engine.parts().orchestrator;
    let history = reads::history(&**orchestrator, tracked.id).await?;
    let first = history.iter().find(|entry| entry.reason == Reason::UnknownTask);
    let now = engine.parts().clock.now();
    if first.is_none_or(|first| now < first.at + ttl) {
        return Ok(false);
    }
    let runners = orchestrator.runners().await?;
    let has_task = |tasks: &[TaskId]| tasks.contains(&tracked.task);
    Ok(!runners
        .iter()
        .filter(|runner| runner.is_alive(now))
        .any(|runner| runner.introduction.as_ref().is_some_and(|introduction| has_task(&introduction.tasks))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_excluded_for_ever_longer_and_logged_once_each_time() {
        let (unknown, task) = (UnknownTasks::default(), TaskId::from("elsewhere::task"));
        let mut now = Timestamp::from_millis(1_000_000);
        let mut left_out = Vec::new();
        for _ in 0..9 {
            assert!(unknown.exclude(&task, now, Duration::ZERO), "the first claim of a batch is logged");
            assert!(!unknown.exclude(&task, now, Duration::ZERO), "no other claim is logged");
            let begun = now;
            while !unknown.left_out(now).is_empty() {
                now = now + Duration::from_secs(1);
            }
            left_out.push(now.since(begun).as_secs());
        }
        assert_eq!(left_out, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert!(unknown.exclude(&task, now, Duration::from_secs(40)));
        assert!(unknown.left_out(now + Duration::from_secs(40)).is_empty(), "the exclusion is at most the ttl");
    }

    #[test]
    fn the_pause_before_the_next_offer_grows() {
        let (unknown, task) = (UnknownTasks::default(), TaskId::from("elsewhere::task"));
        let begun = Timestamp::from_millis(1_000_000);
        unknown.exclude(&task, begun, Duration::ZERO);
        let pauses =
            [0, 1, 20, 1000].map(|waited| unknown.pause(&task, begun + Duration::from_secs(waited)).as_millis());
        assert_eq!(pauses, [100, 250, 5000, 30_000]);
    }
}
