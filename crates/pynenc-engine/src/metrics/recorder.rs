//! The recorder of an app.

use std::fmt;
use std::sync::Arc;

use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, Label, Level, Metadata, Recorder};

use super::list::{ALL, Kind, Metric};

/// The recorder of an app's metrics, over recorders of the crate `metrics`. Each app has its own, because several apps may
/// run in one process. Clones are cheap.
#[derive(Clone)]
pub struct MetricsRecorder(Vec<Arc<dyn Recorder + Send + Sync>>);

impl fmt::Debug for MetricsRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsRecorder").finish_non_exhaustive()
    }
}

/// The origin of the metrics, for recorders that filter by it.
const METADATA: Metadata<'static> = Metadata::new("pynenc", Level::INFO, None);

impl MetricsRecorder {
    /// Takes a recorder, and describes all metrics to it.
    pub fn new(recorder: impl Recorder + Send + Sync + 'static) -> Self {
        for Metric { name, kind, unit, help, .. } in ALL {
            let (key, unit, help) = ((*name).into(), Some(*unit), (*help).into());
            match kind {
                Kind::Counter => recorder.describe_counter(key, unit, help),
                Kind::Gauge => recorder.describe_gauge(key, unit, help),
                Kind::Histogram(_) => recorder.describe_histogram(key, unit, help),
            }
        }
        Self(vec![Arc::new(recorder)])
    }

    /// A recorder that records in each of these; `None` if there is none.
    pub(crate) fn join(recorders: impl IntoIterator<Item = Self>) -> Option<Self> {
        let all: Vec<_> = recorders.into_iter().flat_map(|recorder| recorder.0).collect();
        if all.is_empty() { None } else { Some(Self(all)) }
    }

    /// The counter of a metric with these values of its labels, in their order.
    pub fn counter(&self, metric: &Metric, values: &[&str]) -> Counter {
        let key = key(metric, values);
        self.handle(|recorder| recorder.register_counter(&key, &METADATA), |all| Counter::from_arc(Arc::new(all)))
    }

    /// The gauge of a metric with these values of its labels, in their order.
    pub fn gauge(&self, metric: &Metric, values: &[&str]) -> Gauge {
        let key = key(metric, values);
        self.handle(|recorder| recorder.register_gauge(&key, &METADATA), |all| Gauge::from_arc(Arc::new(all)))
    }

    /// The histogram of a metric with these values of its labels, in their order.
    pub fn histogram(&self, metric: &Metric, values: &[&str]) -> Histogram {
        let key = key(metric, values);
        self.handle(|recorder| recorder.register_histogram(&key, &METADATA), |all| Histogram::from_arc(Arc::new(all)))
    }

    fn handle<T>(&self, register: impl Fn(&dyn Recorder) -> T, join: impl FnOnce(Each<T>) -> T) -> T {
        match &*self.0 {
            [recorder] => register(&**recorder),
            recorders => join(Each(recorders.iter().map(|recorder| register(&**recorder)).collect())),
        }
    }
}

/// The handles of one metric in several recorders. The fan-out of `metrics-util` 0.20 can't be shared between threads.
struct Each<T>(Vec<T>);

impl CounterFn for Each<Counter> {
    fn increment(&self, value: u64) {
        self.0.iter().for_each(|counter| counter.increment(value));
    }

    fn absolute(&self, value: u64) {
        self.0.iter().for_each(|counter| counter.absolute(value));
    }
}

impl GaugeFn for Each<Gauge> {
    fn increment(&self, value: f64) {
        self.0.iter().for_each(|gauge| gauge.increment(value));
    }

    fn decrement(&self, value: f64) {
        self.0.iter().for_each(|gauge| gauge.decrement(value));
    }

    fn set(&self, value: f64) {
        self.0.iter().for_each(|gauge| gauge.set(value));
    }
}

impl HistogramFn for Each<Histogram> {
    fn record(&self, value: f64) {
        self.0.iter().for_each(|histogram| histogram.record(value));
    }
}

fn key(metric: &Metric, values: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), values.len(), "{} has one value for each label", metric.name);
    let label = |(name, value): (&&'static str, &&str)| Label::new(*name, (*value).to_owned());
    Key::from_parts(metric.name, metric.labels.iter().zip(values).map(label).collect::<Vec<_>>())
}
