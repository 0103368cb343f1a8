//! Gauges: the present state of an app and of the runners in this process, read when an exporter asks for it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use pynenc_core::broker::QueueState;
use pynenc_core::orchestrator::{Find, Introduction, RunnerInfo};
use pynenc_core::page::Cursor;
use pynenc_core::{QueueName, Status, Timestamp};

use crate::engine::Engine;
use crate::error::Result;
use crate::metrics::{Metric, MetricsRecorder, list};

/// The number of invocations on a page of the search for the oldest ready ones.
const PAGE: usize = 500;
/// The maximum number of pages of one search.
const PAGES: usize = 4;
/// How often the search starts anew. Invocations in front of its position may be ready again after a retry.
const RESTART: Duration = Duration::from_secs(60);

/// The number of queues whose hints a reading counts, unless the reader chooses another number.
const QUEUES: usize = 1000;

/// Reads the state of an app from its stores, for exporters and views.
///
/// A reading costs one round trip for the counts, one for the runners, one for each queue, and some for the oldest ready
/// invocations. So read at most once for each scrape.
#[derive(Debug)]
pub struct AppGauges {
    max_queues: usize,
    /// The position of the search, and the time when it started.
    search: Option<(Timestamp, Option<Cursor>)>,
}

/// The state of an app at one time.
#[derive(Debug, Clone, Default)]
pub struct AppState {
    /// The time, by the app's clock.
    pub at: Timestamp,
    /// The invocations by status, unfinished or within their retention. A missing status counts zero.
    pub statuses: BTreeMap<Status, u64>,
    /// The forgotten invocations by their final status, since the last purge.
    pub forgotten: BTreeMap<Status, u64>,
    /// The queues that have waiting invocations, a runner that serves them, or a task of this program.
    pub queues: BTreeMap<QueueName, QueueGauges>,
    /// The runners that are alive, or retired and still owners of invocations.
    pub runners: Vec<RunnerInfo>,
}

/// The state of a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueGauges {
    /// The number of invocations that wait for a claim, due or not.
    pub waiting: u64,
    /// The ready and the delayed hints of the broker; `None` if the reading counted them for other queues only.
    pub hints: Option<QueueState>,
    /// For how long the oldest ready invocation has been ready, zero if none is ready; `None` if it isn't found yet.
    pub oldest_ready: Option<Duration>,
}

impl Default for AppGauges {
    fn default() -> Self {
        Self::with_max_queues(QUEUES)
    }
}

impl AppGauges {
    /// A reader that counts the hints of at most so many queues in a reading: of those with the most waiting invocations.
    pub const fn with_max_queues(max_queues: usize) -> Self {
        Self { max_queues, search: None }
    }

    /// Reads the state of the whole app, and sets its gauges in a recorder.
    ///
    /// # Errors
    ///
    /// As [`AppGauges::state`].
    pub async fn read(&mut self, engine: &Engine, recorder: &MetricsRecorder) -> Result<()> {
        self.state(engine).await?.record(recorder);
        Ok(())
    }

    /// Reads the state of the whole app.
    ///
    /// The age of the oldest ready invocation is left out for a queue whose oldest one isn't found yet: among very many
    /// finished invocations, the search needs several readings.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](crate::Error::Unavailable), or another error of a store.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point.
    pub async fn state(&mut self, engine: &Engine) -> Result<AppState> {
        let (orchestrator, broker) = (&engine.parts().orchestrator, &engine.parts().broker);
        let (counts, runners) = (orchestrator.count().await?, orchestrator.runners().await?);
        let at = engine.parts().clock.now();
        let (statuses, forgotten) = (counts.statuses, counts.forgotten);
        let mut state = AppState { at, statuses, forgotten, queues: BTreeMap::new(), runners };
        // A queue without waiting invocations is shown too, if a runner serves it or a task uses it.
        let served = state.introductions().flat_map(|it| it.queues.iter().cloned());
        let used = engine.tasks().all().into_iter().map(|task| task.queue.clone());
        let mut queues: BTreeMap<_, QueueGauges> =
            served.chain(used).map(|name| (name, QueueGauges::default())).collect();
        for (name, waiting) in counts.queued {
            queues.entry(name).or_default().waiting = waiting;
        }
        let mut longest_first: Vec<_> = queues.iter_mut().collect();
        longest_first.sort_by_key(|(_, queue)| Reverse(queue.waiting));
        for (name, queue) in longest_first.into_iter().take(self.max_queues) {
            let hints = broker.queue(name, None).await?;
            queue.oldest_ready = (hints.ready == 0).then_some(Duration::ZERO);
            queue.hints = Some(hints);
        }
        self.find_oldest(engine, &mut queues, at).await?;
        state.queues = queues;
        Ok(state)
    }

    /// Finds the oldest ready invocation of each queue with ready hints, in the order of registration. The search goes on
    /// where the last one found none.
    async fn find_oldest(
        &mut self,
        engine: &Engine,
        queues: &mut BTreeMap<QueueName, QueueGauges>,
        now: Timestamp,
    ) -> Result<()> {
        let (started, mut after) = self.search.take().filter(|(at, _)| now.since(*at) < RESTART).unwrap_or((now, None));
        let mut resume_at = None;
        for _ in 0..PAGES {
            if queues.values().all(|queue| queue.oldest_ready.is_some() || queue.hints.is_none()) {
                break;
            }
            let find = Find { queued_for: Some(Duration::ZERO), after, limit: PAGE, ..Find::default() };
            let page = engine.parts().orchestrator.find(&find).await?;
            let ready = page.items.iter().filter(|item| item.record.is_ready(now));
            let mut is_any_ready = false;
            for item in ready {
                is_any_ready = true;
                let age = now.since(item.record.due.unwrap_or_default().max(item.record.at));
                let is_searched = |queue: &&mut QueueGauges| queue.hints.is_some_and(|hints| hints.ready > 0);
                if let Some(queue) = queues.get_mut(&item.queue).filter(is_searched) {
                    queue.oldest_ready = queue.oldest_ready.max(Some(age));
                }
            }
            if is_any_ready && resume_at.is_none() {
                resume_at = Some(after);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        self.search = Some((started, resume_at.unwrap_or(after)));
        Ok(())
    }
}

impl AppState {
    /// The runners that are alive.
    pub fn alive(&self) -> impl Iterator<Item = &RunnerInfo> {
        self.runners.iter().filter(|runner| runner.is_alive(self.at))
    }

    /// The number of slots of all runners that are alive.
    pub fn slots(&self) -> u64 {
        self.introductions().map(|it| it.slots).sum()
    }

    fn introductions(&self) -> impl Iterator<Item = &Introduction> {
        self.alive().filter_map(|runner| runner.introduction.as_ref())
    }

    /// Sets the gauges of the app in a recorder.
    pub fn record(&self, recorder: &MetricsRecorder) {
        let set = |metric: &Metric, labels: &[&str], value: f64| recorder.gauge(metric, labels).set(value);
        for status in Status::ALL {
            let count = self.statuses.get(status).copied().unwrap_or_default();
            set(&list::INVOCATIONS, &[status.as_str()], count as f64);
        }
        set(&list::RUNNERS, &[], self.alive().count() as f64);
        set(&list::APP_SLOTS, &[], self.slots() as f64);
        for (name, queue) in &self.queues {
            let labels = [name.as_str()];
            set(&list::WAITING, &labels, queue.waiting as f64);
            if let Some(hints) = queue.hints {
                set(&list::READY, &labels, hints.ready as f64);
                set(&list::DELAYED, &labels, hints.delayed as f64);
            }
            if let Some(age) = queue.oldest_ready {
                set(&list::OLDEST_READY, &labels, age.as_secs_f64());
            }
        }
    }
}

impl Engine {
    /// Whether this process exports the gauges of the whole app, so that they exist once. Of the processes with a runner,
    /// only the one that maintains the app at present does. A process without a runner always does.
    pub fn exports_app_gauges(&self) -> bool {
        let runners = self.local_runners();
        runners.is_empty() || runners.iter().any(|runner| runner.maintains_app)
    }

    /// Sets the gauges of the runners in this process, and counts reconnects. Reads nothing from the stores.
    pub fn read_process_gauges(&self, recorder: &MetricsRecorder) {
        if let Some(metrics) = self.metrics() {
            metrics.count_reconnects();
        }
        let runners = self.local_runners();
        let set = |metric: &Metric, value: usize| recorder.gauge(metric, &[]).set(value as f64);
        set(&list::SLOTS, runners.iter().map(|runner| runner.slots).sum());
        set(&list::SLOTS_USED, runners.iter().map(|runner| runner.slots_used).sum());
        set(&list::PAUSED, runners.iter().map(|runner| runner.paused).sum());
        set(&list::ABANDONED_THREADS, self.abandoned_threads());
    }
}
