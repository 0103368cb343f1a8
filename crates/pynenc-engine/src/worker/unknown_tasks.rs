//! Tasks that are called and that this worker's program doesn't have.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pynenc_core::broker::Message;
use pynenc_core::orchestrator::Tracked;
use pynenc_core::{Reason, TaskId, Timestamp};
use rustc_hash::FxHashMap;

use super::attempt::Attempt;
use super::ending::Ending;
use crate::engine::Engine;
use crate::error::Result;

/// How long claims leave a task out once it was met; doubled each time it is met again.
const FIRST_LEFT_OUT: Duration = Duration::from_secs(30);
const LONGEST_LEFT_OUT: Duration = Duration::from_secs(3600);
/// Between these, the pause before a hint is offered again grows with the time since its task was met.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The tasks that a worker was given and doesn't have. Its claims leave them out, so that a hint goes on to another runner
/// and the invocation stays as it is.
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

    /// The tasks that the next claim leaves out. One is tried again now and then, to see whether it has waited too long.
    pub(super) fn left_out(&self, now: Timestamp) -> Vec<TaskId> {
        let met = self.met();
        met.iter().filter(|(_, met)| now < met.left_out_until).map(|(task, _)| task.clone()).collect()
    }

    /// Notes that the task was met; whether that is to be told: once each time that it is left out from now on, which is
    /// for `ttl` at most, unless that is zero.
    fn meet(&self, task: &TaskId, now: Timestamp, ttl: Duration) -> bool {
        let mut all = self.met();
        let met = all.entry(task.clone()).or_insert_with(|| Met { since: now, times: 0, left_out_until: now });
        if now < met.left_out_until {
            return false;
        }
        let longest = if ttl.is_zero() { LONGEST_LEFT_OUT } else { LONGEST_LEFT_OUT.min(ttl) };
        met.left_out_until = now + (FIRST_LEFT_OUT * (1 << met.times.min(10))).min(longest);
        met.times += 1;
        true
    }

    /// The hint that offers an invocation to others, after a pause.
    pub(super) fn hint(&self, tracked: &Tracked, now: Timestamp) -> Message {
        Message { not_before: Some(now + self.pause(&tracked.task, now)), ..tracked.message() }
    }

    fn pause(&self, task: &TaskId, now: Timestamp) -> Duration {
        let waited = self.met().get(task).map_or(Duration::ZERO, |met| now.since(met.since));
        (waited / 4).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
    }
}

/// The ending of an attempt whose task this worker doesn't have.
pub(super) async fn unknown_task(engine: &Engine, attempt: &Attempt) -> Ending {
    let ttl = engine.settings().runner.unknown_ttl;
    let error = engine.tasks().unknown(attempt.tracked.task.as_str());
    match has_waited_too_long(engine, &attempt.tracked, ttl).await {
        Ok(true) => {
            let waited = humantime::format_duration(ttl);
            let detail = format!("no runner has had this task for {waited} (`runner.unknown_ttl`): {error}");
            return Ending::Unrunnable { reason: Reason::UnknownTask, detail };
        }
        Ok(false) => {}
        Err(error) => tracing::debug!(%error, "it isn't known how long an unknown task has waited"),
    }
    if attempt.unknown_tasks().meet(&attempt.tracked.task, engine.parts().clock.now(), ttl) {
        tracing::error!(%error, "another runner may have the task; what calls it is given back");
    }
    Ending::GivenBack { reason: Reason::UnknownTask }
}

/// Whether an invocation was first given back for its task as long ago as `ttl`, and no runner that lives has the task.
async fn has_waited_too_long(engine: &Engine, tracked: &Tracked, ttl: Duration) -> Result<bool> {
    if ttl.is_zero() || tracked.record.deliveries < 2 {
        return Ok(false);
    }
    let orchestrator = &engine.parts().orchestrator;
    let history = orchestrator.history(tracked.id).await?;
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
    fn a_task_is_left_out_for_ever_longer_and_told_once_each_time() {
        let (unknown, task) = (UnknownTasks::default(), TaskId::from("elsewhere::task"));
        let mut now = Timestamp::from_millis(1_000_000);
        let mut left_out = Vec::new();
        for _ in 0..9 {
            assert!(unknown.meet(&task, now, Duration::ZERO), "the first of a batch is told");
            assert!(!unknown.meet(&task, now, Duration::ZERO), "and no other");
            let begun = now;
            while !unknown.left_out(now).is_empty() {
                now = now + Duration::from_secs(1);
            }
            left_out.push(now.since(begun).as_secs());
        }
        assert_eq!(left_out, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert!(unknown.meet(&task, now, Duration::from_secs(40)));
        assert!(unknown.left_out(now + Duration::from_secs(40)).is_empty(), "not for longer than it may wait");
    }

    #[test]
    fn the_pause_before_the_next_offer_grows() {
        let (unknown, task) = (UnknownTasks::default(), TaskId::from("elsewhere::task"));
        let begun = Timestamp::from_millis(1_000_000);
        unknown.meet(&task, begun, Duration::ZERO);
        let pauses =
            [0, 1, 20, 1000].map(|waited| unknown.pause(&task, begun + Duration::from_secs(waited)).as_millis());
        assert_eq!(pauses, [100, 250, 5000, 30_000]);
    }
}
