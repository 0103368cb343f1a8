//! The handles of an app's metrics. They are looked up once, so that recording allocates nothing.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use metrics::{Counter, Histogram};
use pynenc_core::component::RECONNECTS;
use pynenc_core::{Error, QueueName, Reason, Status, StatusRecord, TaskId};
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::list::{self, Metric};
use super::recorder::MetricsRecorder;

/// The maximum number of pairs of a task and a queue beyond the app's own tasks in their own queues. Callers may choose
/// any queue, and recovery sees tasks of other programs. All further ones are counted as [`OTHER`].
const MAX_PAIRS: usize = 1000;
/// The maximum number of kinds of errors of a task. An error type may make up its kinds.
const MAX_ERROR_KINDS: usize = 50;
/// The value of a label that stands for all values beyond a maximum.
const OTHER: &str = "other";

/// The metrics of an app.
pub struct Metrics {
    recorder: MetricsRecorder,
    /// The handles of the app's tasks in their own queues.
    tasks: FxHashMap<TaskId, (QueueName, Arc<Handles>)>,
    others: RwLock<FxHashMap<(TaskId, QueueName), Arc<Handles>>>,
    leases_lost: Counter,
    heartbeat: Operation,
    reconnects: Counter,
    /// The number of reconnects of this process that are counted already.
    counted_reconnects: AtomicU64,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("recorder", &self.recorder).finish_non_exhaustive()
    }
}

impl Metrics {
    pub(crate) fn new<'a>(
        recorder: MetricsRecorder,
        tasks: impl IntoIterator<Item = (&'a TaskId, &'a QueueName)>,
    ) -> Self {
        let handles = |(task, queue): (&TaskId, &QueueName)| {
            let handles = Arc::new(Handles::new(&recorder, queue.as_str(), task.as_str()));
            (task.clone(), (queue.clone(), handles))
        };
        let tasks = tasks.into_iter().map(handles).collect();
        let leases_lost = recorder.counter(&list::LEASES_LOST, &[]);
        let heartbeat = Operation::new(&recorder, "heartbeat");
        let reconnects = recorder.counter(&list::RECONNECTS, &[]);
        Self {
            recorder,
            tasks,
            others: RwLock::default(),
            leases_lost,
            heartbeat,
            reconnects,
            counted_reconnects: AtomicU64::new(0),
        }
    }

    /// The recorder.
    pub fn recorder(&self) -> &MetricsRecorder {
        &self.recorder
    }

    /// Counts a change of an invocation's status.
    pub(crate) fn changed(&self, task: &TaskId, queue: &QueueName, record: &StatusRecord, error_kind: Option<&str>) {
        let handles = self.of(task, queue);
        let error_kind = error_kind.unwrap_or_else(|| record.reason.as_str());
        match (record.status, record.reason) {
            (Status::Registered | Status::Scheduled, Reason::Submitted) => handles.submitted.increment(1),
            (Status::Retry, _) => handles.retried.increment(error_kind),
            (Status::Rerouted, Reason::OwnerLost) => handles.recovered.increment(1),
            (Status::Failed, reason) => {
                handles.failed.increment(error_kind);
                match reason {
                    Reason::PoisonPill => handles.poison_pills.increment(1),
                    Reason::NonDeterminism => handles.non_determinism.increment(1),
                    _ => {}
                }
            }
            (Status::Success, _) => handles.succeeded.increment(1),
            (Status::Cancelled, _) => handles.cancelled.increment(1),
            _ => {}
        }
    }

    /// Measures the arguments of a new invocation.
    pub(crate) fn submitted(&self, task: &TaskId, queue: &QueueName, arguments: u64) {
        self.of(task, queue).arguments.record(arguments as f64);
    }

    /// Counts the start of a task function. `waited` is the time since the invocation was due, if it
    /// is the first start.
    pub(crate) fn started(&self, task: &TaskId, queue: &QueueName, waited: Option<Duration>) -> RunTimer {
        let handles = self.of(task, queue);
        handles.started.increment(1);
        if let Some(waited) = waited {
            handles.wait.record(waited.as_secs_f64());
        }
        RunTimer(Some((handles.run.clone(), Instant::now())))
    }

    /// Measures the result of an invocation.
    pub(crate) fn returned(&self, task: &TaskId, queue: &QueueName, result: u64) {
        self.of(task, queue).result.record(result as f64);
    }

    /// Counts an attempt whose outcome was refused.
    pub(crate) fn lost_claim(&self, task: &TaskId, queue: &QueueName) {
        self.of(task, queue).lost_claims.increment(1);
    }

    /// Counts a lost lease.
    pub(crate) fn lost_lease(&self) {
        self.leases_lost.increment(1);
    }

    /// Counts the reconnects of this process since the last call.
    pub(crate) fn count_reconnects(&self) {
        let all = RECONNECTS.load(Ordering::Relaxed);
        let before = self.counted_reconnects.fetch_max(all, Ordering::Relaxed);
        self.reconnects.increment(all.saturating_sub(before));
    }

    /// Measures the round trip of a heartbeat.
    pub(crate) async fn heartbeat<T>(&self, trip: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.heartbeat.measure(trip).await
    }

    fn of(&self, task: &TaskId, queue: &QueueName) -> Arc<Handles> {
        match self.tasks.get(task) {
            Some((own, handles)) if own == queue => handles.clone(),
            _ => self.of_pair(task, queue),
        }
    }

    fn of_pair(&self, task: &TaskId, queue: &QueueName) -> Arc<Handles> {
        let pair = (task.clone(), queue.clone());
        if let Some(handles) = self.others.read().unwrap_or_else(PoisonError::into_inner).get(&pair) {
            return handles.clone();
        }
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        let pair = if others.len() < MAX_PAIRS { pair } else { (OTHER.into(), OTHER.into()) };
        let handles = others.entry(pair);
        let new = |(task, queue): &(TaskId, QueueName)| Handles::new(&self.recorder, queue.as_str(), task.as_str());
        handles.or_insert_with_key(|pair| Arc::new(new(pair))).clone()
    }
}

/// The handles of a task in a queue.
struct Handles {
    submitted: Counter,
    started: Counter,
    succeeded: Counter,
    cancelled: Counter,
    failed: ErrorCounters,
    retried: ErrorCounters,
    recovered: Counter,
    poison_pills: Counter,
    non_determinism: Counter,
    lost_claims: Counter,
    wait: Histogram,
    run: Histogram,
    arguments: Histogram,
    result: Histogram,
}

impl Handles {
    fn new(recorder: &MetricsRecorder, queue: &str, task: &str) -> Self {
        let counter = |metric: &Metric| recorder.counter(metric, &[queue, task]);
        let histogram = |metric: &Metric| recorder.histogram(metric, &[queue, task]);
        let finished = |status: Status| recorder.counter(&list::FINISHED, &[queue, task, status.as_str(), ""]);
        Self {
            submitted: counter(&list::SUBMITTED),
            started: counter(&list::STARTED),
            succeeded: finished(Status::Success),
            cancelled: finished(Status::Cancelled),
            failed: ErrorCounters::new(recorder, &list::FINISHED, &[queue, task, Status::Failed.as_str()]),
            retried: ErrorCounters::new(recorder, &list::RETRIED, &[queue, task]),
            recovered: counter(&list::RECOVERED),
            poison_pills: counter(&list::POISON_PILLS),
            non_determinism: counter(&list::NON_DETERMINISM),
            lost_claims: counter(&list::LOST_CLAIMS),
            wait: histogram(&list::WAIT),
            run: histogram(&list::RUN),
            arguments: histogram(&list::ARGUMENTS),
            result: histogram(&list::RESULT),
        }
    }
}

/// Counters whose last label is the kind of an error.
pub(super) struct ErrorCounters {
    recorder: MetricsRecorder,
    metric: &'static Metric,
    labels: Vec<Box<str>>,
    by_kind: Mutex<FxHashMap<Box<str>, Counter>>,
}

impl ErrorCounters {
    pub(super) fn new(recorder: &MetricsRecorder, metric: &'static Metric, labels: &[&str]) -> Self {
        let labels = labels.iter().map(|label| (*label).into()).collect();
        Self { recorder: recorder.clone(), metric, labels, by_kind: Mutex::default() }
    }

    pub(super) fn increment(&self, kind: &str) {
        let mut by_kind = self.by_kind.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = by_kind.get(kind) {
            return counter.increment(1);
        }
        let kind = if by_kind.len() < MAX_ERROR_KINDS { kind } else { OTHER };
        let new = || {
            let labels: Vec<_> = self.labels.iter().map(|label| &**label).chain([kind]).collect();
            self.recorder.counter(self.metric, &labels)
        };
        by_kind.entry(kind.into()).or_insert_with(new).increment(1);
    }
}

/// Measures how long a task function runs, until it is dropped.
#[derive(Default)]
pub(crate) struct RunTimer(Option<(Histogram, Instant)>);

impl fmt::Debug for RunTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RunTimer").field(&self.0.as_ref().map(|(_, begun)| begun)).finish()
    }
}

impl Drop for RunTimer {
    fn drop(&mut self) {
        if let Some((histogram, begun)) = &self.0 {
            histogram.record(begun.elapsed().as_secs_f64());
        }
    }
}

/// The handles of the round trips of one kind.
pub(super) struct Operation {
    duration: Histogram,
    errors: ErrorCounters,
}

impl Operation {
    pub(super) fn new(recorder: &MetricsRecorder, name: &'static str) -> Self {
        Self {
            duration: recorder.histogram(&list::STORE_DURATION, &[name]),
            errors: ErrorCounters::new(recorder, &list::STORE_ERRORS, &[name]),
        }
    }

    /// Measures a round trip.
    pub(super) async fn measure<T>(&self, trip: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let begun = Instant::now();
        let result = trip.await;
        self.duration.record(begun.elapsed().as_secs_f64());
        self.count_error(&result);
        result
    }

    /// Counts the error of a request whose duration says nothing.
    pub(super) fn count_error<T>(&self, result: &Result<T, Error>) {
        if let Err(error) = result {
            self.errors.increment(error.kind().as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use metrics::{Gauge, Key, KeyName, Metadata, Recorder, SharedString, Unit};
    use pynenc_core::Timestamp;

    /// Keeps the series that are registered, without their values.
    #[derive(Clone, Default)]
    struct Series(Arc<Mutex<BTreeSet<String>>>);

    impl Series {
        fn of(&self, metric: &Metric) -> usize {
            self.0.lock().unwrap().iter().filter(|key| key.contains(metric.name)).count()
        }

        fn add(&self, key: &Key) {
            self.0.lock().unwrap().insert(key.to_string());
        }
    }

    impl Recorder for Series {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            self.add(key);
            Counter::noop()
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            self.add(key);
            Gauge::noop()
        }

        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            self.add(key);
            Histogram::noop()
        }
    }

    #[test]
    fn the_number_of_series_is_bounded() {
        let series = Series::default();
        let (task, queue): (TaskId, QueueName) = ("app::add".into(), "default".into());
        let metrics = Metrics::new(MetricsRecorder::new(series.clone()), [(&task, &queue)]);
        for number in 0..2 * MAX_PAIRS {
            metrics.submitted(&task, &format!("tenant-{number}").as_str().into(), 1);
        }
        assert_eq!(series.of(&list::SUBMITTED), MAX_PAIRS + 2, "the task's own queue, {MAX_PAIRS} others and the rest");
        let failed = StatusRecord {
            status: Status::Failed,
            reason: Reason::Raised,
            ..StatusRecord::registered(None, Timestamp::default())
        };
        let before = series.of(&list::FINISHED);
        for number in 0..2 * MAX_ERROR_KINDS {
            metrics.changed(&task, &queue, &failed, Some(&format!("Error{number}")));
        }
        assert_eq!(series.of(&list::FINISHED) - before, MAX_ERROR_KINDS + 1, "{MAX_ERROR_KINDS} kinds and the rest");
    }

    #[test]
    fn every_recorder_gets_every_metric() {
        let recorders = [Series::default(), Series::default()];
        let joined = MetricsRecorder::join(recorders.clone().map(MetricsRecorder::new)).unwrap();
        joined.counter(&list::SUBMITTED, &["default", "app::add"]).increment(1);
        joined.gauge(&list::SLOTS, &[]).set(1.0);
        joined.histogram(&list::WAIT, &["default", "app::add"]).record(1.0);
        for series in recorders {
            assert_eq!([&list::SUBMITTED, &list::SLOTS, &list::WAIT].map(|metric| series.of(metric)), [1; 3]);
        }
    }
}
