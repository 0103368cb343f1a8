//! Gauges: the present state of an app and of the runners in this process, read when an exporter asks for it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pynenc_core::component::RECONNECTS;
use pynenc_core::orchestrator::Find;
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

/// Reads the state of an app from its stores, for exporters.
///
/// A reading costs one round trip for the counts, one for the runners, one for each queue, and some for the oldest ready
/// invocations. So read at most once for each scrape.
#[derive(Debug, Default)]
pub struct AppGauges {
    /// The position of the search, and the time when it started.
    search: Option<(Timestamp, Option<Cursor>)>,
}

/// The state of a queue.
#[derive(Debug, Default)]
struct Queue {
    waiting: u64,
    ready: u64,
    delayed: u64,
    oldest_ready: Option<Duration>,
}

impl AppGauges {
    /// Reads the state of the whole app, and sets its gauges in a recorder.
    ///
    /// The age of the oldest ready invocation is left out for a queue whose oldest one isn't found yet: among very many
    /// finished invocations, the search needs several readings.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](crate::Error::Unavailable), or another error of a store.
    pub async fn read(&mut self, engine: &Engine, recorder: &MetricsRecorder) -> Result<()> {
        let (orchestrator, broker) = (&engine.parts().orchestrator, &engine.parts().broker);
        let set = |metric: &Metric, labels: &[&str], value: f64| recorder.gauge(metric, labels).set(value);
        let (counts, runners, now) =
            (orchestrator.count().await?, orchestrator.runners().await?, engine.parts().clock.now());
        for status in Status::ALL {
            let count = counts.statuses.get(status).copied().unwrap_or_default();
            set(&list::INVOCATIONS, &[status.as_str()], count as f64);
        }
        let alive: Vec<_> = runners.iter().filter(|runner| runner.is_alive(now)).collect();
        let introductions = || alive.iter().filter_map(|runner| runner.introduction.as_ref());
        set(&list::RUNNERS, &[], alive.len() as f64);
        set(&list::APP_SLOTS, &[], introductions().map(|it| it.slots).sum::<u64>() as f64);
        // A queue without waiting invocations is shown too, if a runner serves it or a task uses it.
        let served = introductions().flat_map(|it| it.queues.iter().cloned());
        let used = engine.tasks().all().into_iter().map(|task| task.queue.clone());
        let mut queues: BTreeMap<QueueName, Queue> = served.chain(used).map(|name| (name, Queue::default())).collect();
        for (name, waiting) in counts.queued {
            queues.entry(name).or_default().waiting = waiting;
        }
        for (name, queue) in &mut queues {
            let hints = broker.queue(name, None).await?;
            (queue.ready, queue.delayed) = (hints.ready, hints.delayed);
            queue.oldest_ready = (hints.ready == 0).then_some(Duration::ZERO);
        }
        self.find_oldest(engine, &mut queues, now).await?;
        for (name, queue) in &queues {
            let labels = [name.as_str()];
            set(&list::WAITING, &labels, queue.waiting as f64);
            set(&list::READY, &labels, queue.ready as f64);
            set(&list::DELAYED, &labels, queue.delayed as f64);
            if let Some(age) = queue.oldest_ready {
                set(&list::OLDEST_READY, &labels, age.as_secs_f64());
            }
        }
        Ok(())
    }

    /// Finds the oldest ready invocation of each queue with ready hints, in the order of registration. The search goes on
    /// where the last one found none.
    async fn find_oldest(
        &mut self,
        engine: &Engine,
        queues: &mut BTreeMap<QueueName, Queue>,
        now: Timestamp,
    ) -> Result<()> {
        let (started, mut after) = self.search.take().filter(|(at, _)| now.since(*at) < RESTART).unwrap_or((now, None));
        let mut resume_at = None;
        for _ in 0..PAGES {
            if queues.values().all(|queue| queue.oldest_ready.is_some()) {
                break;
            }
            let find = Find { queued_for: Some(Duration::ZERO), after, limit: PAGE, ..Find::default() };
            let page = engine.parts().orchestrator.find(&find).await?;
            let ready = page.items.iter().filter(|item| item.record.is_ready(now));
            let mut is_any_ready = false;
            for item in ready {
                is_any_ready = true;
                let age = now.since(item.record.due.unwrap_or_default().max(item.record.at));
                if let Some(queue) = queues.get_mut(&item.queue).filter(|queue| queue.ready > 0) {
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

impl Engine {
    /// Whether this process exports the gauges of the whole app, so that they exist once. Of the processes with a runner,
    /// only the one that maintains the app at present does. A process without a runner always does.
    pub fn exports_app_gauges(&self) -> bool {
        let runners = self.local_runners();
        runners.is_empty() || runners.iter().any(|runner| runner.maintains_app)
    }

    /// Sets the gauges of the runners in this process, and the counter of reconnects. Reads nothing from the stores.
    pub fn read_process_gauges(&self, recorder: &MetricsRecorder) {
        recorder.counter(&list::RECONNECTS, &[]).absolute(RECONNECTS.load(Ordering::Relaxed));
        let runners = self.local_runners();
        let set = |metric: &Metric, value: usize| recorder.gauge(metric, &[]).set(value as f64);
        set(&list::SLOTS, runners.iter().map(|runner| runner.slots).sum());
        set(&list::SLOTS_USED, runners.iter().map(|runner| runner.slots_used).sum());
        set(&list::PAUSED, runners.iter().map(|runner| runner.paused).sum());
        set(&list::ABANDONED_THREADS, self.abandoned_threads());
    }
}
