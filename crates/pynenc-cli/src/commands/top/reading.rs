//! One reading of an app, in a bounded number of requests to the stores, whatever the size of the app.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use futures_util::future::try_join_all;
use pynenc_core::orchestrator::{Find, HistoryEntry, RunnerInfo, Tracked};
use pynenc_core::page::Page;
use pynenc_core::{InvocationId, QueueName, Reason, RunnerId, Status, TaskId, Timestamp};
use pynenc_engine::{AppGauges, AppState, Engine, Result};
use serde_json::{Value, json};
use tokio::time::Instant;

/// The number of queues whose ready and delayed invocations are counted: those with the most waiting ones.
pub(super) const MAX_QUEUES: usize = 20;
/// The number of runners whose invocations are read: those with the most.
pub(super) const MAX_RUNNERS: usize = 20;
/// The maximum number of invocations of a runner that are read.
const MAX_OWNED: usize = 500;
/// The maximum number of finished invocations of a reading, from which the table of tasks is made.
pub(super) const MAX_FINISHED: usize = 200;
/// How long ago these have finished at most.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// The time over which rates are averaged.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// The state of an app at one time.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    pub(super) app: String,
    pub(super) at: Timestamp,
    /// Unknown in the first reading.
    pub(super) rates: Option<Rates>,
    pub(super) statuses: BTreeMap<Status, u64>,
    pub(super) slots: u64,
    pub(super) slots_used: u64,
    /// Whether only some of the running invocations were read, so that there may be more.
    pub(super) is_partial: bool,
    pub(super) queues: Vec<Queue>,
    pub(super) runners: Vec<Runner>,
    pub(super) tasks: Vec<Task>,
}

/// Invocations per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    pub(super) submitted: f64,
    pub(super) finished: f64,
    pub(super) failed: f64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) waiting: u64,
    /// Unknown for a queue beyond [`MAX_QUEUES`], as `delayed`.
    pub(super) ready: Option<u64>,
    pub(super) delayed: Option<u64>,
    pub(super) oldest_ready: Option<Duration>,
    pub(super) running: u64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Runner {
    pub(super) id: String,
    /// Host and process.
    pub(super) description: String,
    pub(super) state: &'static str,
    pub(super) heard: Duration,
    pub(super) owned: u64,
    pub(super) slots: u64,
    /// Unknown for a runner beyond [`MAX_RUNNERS`].
    pub(super) slots_used: Option<u64>,
    pub(super) queues: String,
}

/// A task with its running invocations, and with those that finished within [`WINDOW`].
#[derive(Debug, Clone, Default)]
pub(super) struct Task {
    pub(super) name: String,
    pub(super) running: u64,
    /// For how long the first of the running ones has been running.
    pub(super) running_for: Option<Duration>,
    pub(super) finished: u64,
    pub(super) failed: u64,
    pub(super) retries: u64,
    /// The mean and the greatest time from the start of the last attempt to its end.
    pub(super) mean: Option<Duration>,
    pub(super) longest: Option<Duration>,
}

/// Reads an app again and again, and keeps what the next reading needs.
#[derive(Debug)]
pub(super) struct Reader {
    gauges: AppGauges,
    counts: VecDeque<(Instant, Totals)>,
    finished: HashMap<InvocationId, Finished>,
}

/// Numbers of invocations at the time of a reading.
#[derive(Debug, Clone, Copy)]
struct Totals {
    all: u64,
    finished: u64,
    failed: u64,
}

/// A finished invocation.
#[derive(Debug)]
struct Finished {
    task: TaskId,
    at: Timestamp,
    is_failed: bool,
    retries: u64,
    ran: Option<Duration>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { gauges: AppGauges::with_max_queues(MAX_QUEUES), counts: VecDeque::new(), finished: HashMap::new() }
    }
}

impl Reader {
    /// Reads the app.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point.
    pub(super) async fn read(&mut self, app: &Engine) -> Result<Reading> {
        let state = self.gauges.state(app).await?;
        let owned = owned(app, &state).await?;
        self.read_finished(app, &state).await?;
        let rates = self.rates(Totals::of(&state), Instant::now());
        let app_id = app.settings().app_id.to_string();
        Ok(reading(app_id, &state, rates, &owned, self.finished.values()))
    }

    /// The rates between the oldest kept counts and the present ones, which are kept too.
    fn rates(&mut self, totals: Totals, now: Instant) -> Option<Rates> {
        let is_old = |at: &Instant| now.duration_since(*at) >= RATE_WINDOW;
        // The last one that is old enough stays, so that the rates cover the whole window.
        while self.counts.get(1).is_some_and(|(at, _)| is_old(at)) {
            self.counts.pop_front();
        }
        let first = self.counts.front().copied();
        self.counts.push_back((now, totals));
        let (at, first) = first?;
        let seconds = now.duration_since(at).as_secs_f64();
        let rate = |of: fn(&Totals) -> u64| of(&totals).saturating_sub(of(&first)) as f64 / seconds.max(f64::EPSILON);
        Some(Rates { submitted: rate(|it| it.all), finished: rate(|it| it.finished), failed: rate(|it| it.failed) })
    }

    /// Reads the invocations that finished lately. Reads the histories only of those that the last readings didn't have.
    async fn read_finished(&mut self, app: &Engine, state: &AppState) -> Result<()> {
        let begin = state.at - WINDOW;
        let found = find_finished(app, state).await?;
        let unread = |item: &Tracked| item.record.at >= begin && !self.finished.contains_key(&item.id);
        let found: Vec<_> = found.into_iter().filter(unread).take(MAX_FINISHED).map(|item| item.id).collect();
        if !found.is_empty() {
            let inspections = app.parts().orchestrator.inspect(&found).await?.into_iter().flatten();
            self.finished.extend(inspections.map(|it| (it.tracked.id, Finished::new(it.tracked, &it.history))));
        }
        self.finished.retain(|_, finished| finished.at >= begin);
        let excess = self.finished.len().saturating_sub(MAX_FINISHED);
        if excess > 0 {
            let mut times: Vec<_> = self.finished.values().map(|it| it.at).collect();
            times.sort_unstable();
            self.finished.retain(|_, finished| finished.at >= times[excess]);
        }
        Ok(())
    }
}

impl Totals {
    /// Counts forgotten invocations too, so that no number decreases while the app isn't purged.
    fn of(state: &AppState) -> Self {
        let counted = state.statuses.iter().chain(&state.forgotten);
        let sum = |is_counted: fn(Status) -> bool| {
            counted.clone().filter(|(status, _)| is_counted(**status)).map(|(_, count)| count).sum()
        };
        Self { all: sum(|_| true), finished: sum(Status::is_final), failed: sum(|status| status == Status::Failed) }
    }
}

impl Finished {
    fn new(tracked: Tracked, history: &[HistoryEntry]) -> Self {
        let started = history.iter().rfind(|entry| entry.reason == Reason::Started);
        Self {
            at: tracked.record.at,
            is_failed: tracked.record.status == Status::Failed,
            retries: u64::from(tracked.record.retries),
            ran: started.map(|entry| tracked.record.at.since(entry.at)),
            task: tracked.task,
        }
    }
}

/// The invocations that runners own.
#[derive(Debug, Default)]
struct Owned {
    by_runner: HashMap<RunnerId, Vec<Tracked>>,
    is_partial: bool,
}

async fn owned(app: &Engine, state: &AppState) -> Result<Owned> {
    let mut owners: Vec<&RunnerInfo> = state.runners.iter().filter(|runner| runner.owned > 0).collect();
    owners.sort_by_key(|runner| Reverse(runner.owned));
    let read = owners.iter().take(MAX_RUNNERS).map(|runner| async {
        let find = Find { owner: Some(runner.id), limit: MAX_OWNED, ..Find::default() };
        Ok::<_, pynenc_engine::Error>((runner.id, app.parts().orchestrator.find(&find).await?))
    });
    let pages = try_join_all(read).await?;
    let is_partial = owners.len() > MAX_RUNNERS || pages.iter().any(|(_, page)| page.next.is_some());
    Ok(Owned { by_runner: pages.into_iter().map(|(id, page)| (id, page.items)).collect(), is_partial })
}

/// Finds the last finished invocations, in at most two pages of the listing in the order of registration.
///
/// Behind a long backlog, the newest registrations all wait. So the second page begins where the oldest ready invocation
/// was registered.
async fn find_finished(app: &Engine, state: &AppState) -> Result<Vec<Tracked>> {
    let statuses = Status::ALL.iter().copied().filter(|status| status.is_final()).collect();
    let newest = Find { statuses, newest_first: true, limit: MAX_FINISHED, ..Find::default() };
    let Page { mut items, next } = app.parts().orchestrator.find(&newest).await?;
    let backlog = state.queues.values().filter_map(|queue| queue.oldest_ready).filter(|age| !age.is_zero()).min();
    if let (Some(_), Some(age), true) = (next, backlog, items.len() < MAX_FINISHED) {
        let behind = Find { until: Some(state.at - age), ..newest };
        items.extend(app.parts().orchestrator.find(&behind).await?.items);
    }
    Ok(items)
}

fn reading<'a>(
    app: String,
    state: &AppState,
    rates: Option<Rates>,
    owned: &'a Owned,
    finished: impl Iterator<Item = &'a Finished>,
) -> Reading {
    let holds_slot = |item: &&Tracked| matches!(item.record.status, Status::Pending | Status::Running);
    let holders = || owned.by_runner.values().flatten().filter(holds_slot);
    let mut running: HashMap<&QueueName, u64> = HashMap::new();
    holders().for_each(|item| *running.entry(&item.queue).or_default() += 1);
    let queues = state.queues.iter().map(|(name, queue)| Queue {
        name: name.to_string(),
        waiting: queue.waiting,
        ready: queue.hints.map(|hints| hints.ready),
        delayed: queue.hints.map(|hints| hints.delayed),
        oldest_ready: queue.oldest_ready,
        running: running.get(name).copied().unwrap_or_default(),
    });
    let shown = state.runners.iter().map(|runner| {
        let invocations = owned.by_runner.get(&runner.id).map(|items| items.iter().filter(holds_slot).count() as u64);
        let slots_used = if runner.owned == 0 { Some(0) } else { invocations };
        shown_runner(runner, state.at, slots_used)
    });
    Reading {
        app,
        at: state.at,
        rates,
        statuses: state.statuses.clone(),
        slots: state.slots(),
        slots_used: holders().count() as u64,
        is_partial: owned.is_partial,
        queues: queues.collect(),
        runners: shown.collect(),
        tasks: tasks(owned.by_runner.values().flatten(), finished, state.at),
    }
}

fn shown_runner(runner: &RunnerInfo, now: Timestamp, slots_used: Option<u64>) -> Runner {
    let introduction = runner.introduction.clone().unwrap_or_default();
    Runner {
        id: runner.id.to_string(),
        description: runner.description.to_string(),
        state: runner.state(now),
        heard: now.since(runner.last_heartbeat),
        owned: runner.owned,
        slots: introduction.slots,
        slots_used,
        queues: introduction.queues.iter().map(QueueName::as_str).collect::<Vec<_>>().join(","),
    }
}

fn tasks<'a>(
    owned: impl Iterator<Item = &'a Tracked>,
    finished: impl Iterator<Item = &'a Finished>,
    now: Timestamp,
) -> Vec<Task> {
    let mut tasks: BTreeMap<&TaskId, (Task, Vec<Duration>)> = BTreeMap::new();
    for item in owned.filter(|item| item.record.status == Status::Running) {
        let (task, _) = tasks.entry(&item.task).or_default();
        task.running += 1;
        task.running_for = task.running_for.max(Some(now.since(item.record.at)));
    }
    for item in finished {
        let (task, runs) = tasks.entry(&item.task).or_default();
        task.finished += 1;
        task.failed += u64::from(item.is_failed);
        task.retries += item.retries;
        runs.extend(item.ran);
    }
    let summed = tasks.into_iter().map(|(name, (task, runs))| {
        let mean = u32::try_from(runs.len()).ok().and_then(|count| runs.iter().sum::<Duration>().checked_div(count));
        Task { name: name.to_string(), mean, longest: runs.into_iter().max(), ..task }
    });
    summed.collect()
}

impl Reading {
    /// The JSON form. Ages and durations are in milliseconds.
    pub(super) fn as_json(&self) -> Value {
        let millis = |duration: Option<Duration>| duration.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
        let queues = self.queues.iter().map(|queue| {
            json!({
                "queue": queue.name, "waiting": queue.waiting, "ready": queue.ready, "delayed": queue.delayed,
                "oldest_ready_ms": millis(queue.oldest_ready), "running": queue.running,
            })
        });
        let runners = self.runners.iter().map(|runner| {
            json!({
                "id": runner.id, "where": runner.description, "state": runner.state, "owned": runner.owned,
                "slots": runner.slots, "slots_used": runner.slots_used, "heard_ms": millis(Some(runner.heard)),
            })
        });
        let tasks = self.tasks.iter().map(|task| {
            json!({
                "task": task.name, "running": task.running, "running_for_ms": millis(task.running_for),
                "finished": task.finished, "failed": task.failed, "retries": task.retries,
                "mean_ms": millis(task.mean), "longest_ms": millis(task.longest),
            })
        });
        json!({
            "app": self.app, "at": self.at, "statuses": self.statuses, "slots": self.slots,
            "slots_used": self.slots_used, "is_partial": self.is_partial, "queues": queues.collect::<Vec<_>>(),
            "runners": runners.collect::<Vec<_>>(), "tasks": tasks.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_averaged_over_the_last_readings() {
        let mut reader = Reader::default();
        let begin = Instant::now();
        let mut rates = |seconds: u64, all: u64| {
            reader.rates(Totals { all, finished: all / 2, failed: 0 }, begin + Duration::from_secs(seconds))
        };
        assert_eq!(rates(0, 100), None);
        assert_eq!(rates(2, 120), Some(Rates { submitted: 10.0, finished: 5.0, failed: 0.0 }));
        assert_eq!(rates(11, 120).map(|it| it.submitted), Some(20.0 / 11.0));
        assert_eq!(rates(20, 120).map(|it| it.submitted), Some(0.0), "the first reading is too old");
        assert_eq!(rates(22, 90).map(|it| it.submitted), Some(0.0), "the app was purged");
    }

    #[test]
    fn a_task_has_the_run_times_of_its_finished_invocations() {
        let finished = |seconds: u64, is_failed: bool| Finished {
            task: "pay".into(),
            at: Timestamp::from_millis(5000),
            is_failed,
            retries: u64::from(is_failed),
            ran: Some(Duration::from_secs(seconds)),
        };
        let finished = [finished(1, false), finished(5, true)];
        let tasks = tasks(std::iter::empty(), finished.iter(), Timestamp::from_millis(9000));
        let task = &tasks[0];
        assert_eq!((task.finished, task.failed, task.retries, task.running), (2, 1, 1, 0));
        assert_eq!((task.mean, task.longest), (Some(Duration::from_secs(3)), Some(Duration::from_secs(5))));
    }
}
