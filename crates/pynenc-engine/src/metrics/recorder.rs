//! The recorder of an app.

use std::fmt;
use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};

use super::list::{ALL, Kind, Metric};

/// The recorder of an app's metrics: a recorder of the crate `metrics`. Each app has its own, because several apps may run
/// in one process. Clones are cheap.
#[derive(Clone)]
pub struct MetricsRecorder(Arc<dyn Recorder + Send + Sync>);

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
        Self(Arc::new(recorder))
    }

    /// The counter of a metric with these values of its labels, in their order.
    pub fn counter(&self, metric: &Metric, values: &[&str]) -> Counter {
        self.0.register_counter(&key(metric, values), &METADATA)
    }

    /// The gauge of a metric with these values of its labels, in their order.
    pub fn gauge(&self, metric: &Metric, values: &[&str]) -> Gauge {
        self.0.register_gauge(&key(metric, values), &METADATA)
    }

    /// The histogram of a metric with these values of its labels, in their order.
    pub fn histogram(&self, metric: &Metric, values: &[&str]) -> Histogram {
        self.0.register_histogram(&key(metric, values), &METADATA)
    }
}

fn key(metric: &Metric, values: &[&str]) -> Key {
    debug_assert_eq!(metric.labels.len(), values.len(), "{} has one value for each label", metric.name);
    let label = |(name, value): (&&'static str, &&str)| Label::new(*name, (*value).to_owned());
    Key::from_parts(metric.name, metric.labels.iter().zip(values).map(label).collect::<Vec<_>>())
}
