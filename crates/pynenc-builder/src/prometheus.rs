//! The metrics of an app in the text format of Prometheus, for programs with a web server of their own.
//!
//! [`Prometheus`] is a recorder and renders what it has recorded. Counters and histograms are atomic numbers: recording
//! takes no lock, and memory doesn't grow while nobody reads.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use pynenc_engine::metrics::{Kind, MetricsRecorder, list};
use pynenc_engine::{AppGauges, Engine};
use tokio::time::{Instant, timeout};

/// How long the gauges of the whole app are kept before they are read from the stores again.
const CACHE: Duration = Duration::from_secs(2);
/// How long a reading of the stores may take. After that the text has no gauges of the app.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Records the metrics of one app and renders them for Prometheus. Clones are cheap and mean the same one.
///
/// ```
/// use pynenc_builder::Pynenc;
/// use pynenc_builder::prometheus::Prometheus;
///
/// # async fn main_() -> pynenc_engine::Result<()> {
/// let prometheus = Prometheus::default();
/// let app = Pynenc::builder().metrics(prometheus.recorder()).build().await?;
/// let text = prometheus.render(&app).await; // the reply to GET /metrics, of the type `Prometheus::CONTENT_TYPE`
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Prometheus {
    recorded: Registry,
    app: Arc<tokio::sync::Mutex<Option<AppReading>>>,
}

/// The last reading of the gauges of the whole app.
#[derive(Debug)]
struct AppReading {
    gauges: AppGauges,
    registry: Registry,
    at: Instant,
}

impl Prometheus {
    /// The content type of the rendered text.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// The recorder, for [`PynencBuilder::metrics`](crate::PynencBuilder::metrics).
    pub fn recorder(&self) -> MetricsRecorder {
        MetricsRecorder::new(self.recorded.clone())
    }

    /// Renders all metrics. Each series has the label `app`.
    ///
    /// The gauges of the whole app, such as the length of its queues, are read from the stores, at most once in 2 s. Of the
    /// processes with a runner, only the one that maintains the app at present renders them, so that they exist once for
    /// each app. A process without a runner always renders them. If the stores don't reply within 5 s, they are left out.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point.
    pub async fn render(&self, app: &Engine) -> String {
        app.read_process_gauges(&self.recorder());
        let mut text = String::new();
        let app_id = &*app.settings().app_id;
        self.recorded.render(app_id, &mut text);
        let runners = app.local_runners();
        if runners.is_empty() || runners.iter().any(|runner| runner.maintains_app) {
            match timeout(READ_TIMEOUT, self.read_app(app)).await {
                Ok(Ok(registry)) => registry.render(app_id, &mut text),
                Ok(Err(error)) => tracing::warn!(%error, "the gauges of the app can't be read from the stores"),
                Err(_) => tracing::warn!("the gauges of the app can't be read: the stores don't reply in time"),
            }
        }
        text
    }

    /// Reads the gauges of the app, unless the last reading is recent. A new registry forgets the queues that are gone.
    async fn read_app(&self, app: &Engine) -> pynenc_engine::Result<Registry> {
        let mut last = self.app.lock().await;
        if let Some(reading) = last.as_ref().filter(|reading| reading.at.elapsed() < CACHE) {
            return Ok(reading.registry.clone());
        }
        let registry = Registry::default();
        let mut gauges = last.take().map(|reading| reading.gauges).unwrap_or_default();
        gauges.read(app, &MetricsRecorder::new(registry.clone())).await?;
        *last = Some(AppReading { gauges, registry: registry.clone(), at: Instant::now() });
        Ok(registry)
    }
}

/// The series of a recorder, by the name of their metric.
#[derive(Clone, Default)]
struct Registry(Arc<Mutex<BTreeMap<String, Family>>>);

/// The series of one metric, by their labels.
#[derive(Default)]
struct Family {
    help: String,
    series: BTreeMap<String, Series>,
}

enum Series {
    Counter(Arc<AtomicU64>),
    /// The bits of an `f64`.
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<Buckets>),
}

impl Series {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) => "counter",
            Self::Gauge(_) => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.families().keys()).finish()
    }
}

impl Registry {
    fn families(&self) -> MutexGuard<'_, BTreeMap<String, Family>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(&self, name: &KeyName, help: &str) {
        help.clone_into(&mut self.families().entry(valid_name(name.as_str())).or_default().help);
    }

    /// The part of the series with this key that `part` takes out, after `new` has made the series if it is new. A series
    /// of another kind has no such part: then the handle records nothing.
    fn series<T>(&self, key: &Key, new: impl FnOnce() -> Series, part: impl FnOnce(&Series) -> Option<T>) -> Option<T> {
        let mut families = self.families();
        let family = families.entry(valid_name(key.name())).or_default();
        part(family.series.entry(labels(key)).or_insert_with(new))
    }

    fn render(&self, app: &str, text: &mut String) {
        let app = format!("app=\"{}\"", escaped(app));
        for (name, Family { help, series }) in &*self.families() {
            let Some(first) = series.values().next() else { continue };
            // Writing to a string can't fail.
            let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {}", help.replace('\n', " "), first.kind());
            for (labels, series) in series {
                let labels = if labels.is_empty() { app.clone() } else { format!("{app},{labels}") };
                let _ = match series {
                    Series::Counter(value) => writeln!(text, "{name}{{{labels}}} {}", value.load(Ordering::Relaxed)),
                    Series::Gauge(bits) => {
                        writeln!(text, "{name}{{{labels}}} {}", f64::from_bits(bits.load(Ordering::Relaxed)))
                    }
                    Series::Histogram(buckets) => buckets.render(name, &labels, text),
                };
            }
        }
    }
}

impl Recorder for Registry {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&key, &help);
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&key, &help);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&key, &help);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let part = |series: &Series| if let Series::Counter(value) = series { Some(value.clone()) } else { None };
        self.series(key, || Series::Counter(Arc::default()), part).map_or_else(Counter::noop, Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let part = |series: &Series| if let Series::Gauge(bits) = series { Some(bits.clone()) } else { None };
        self.series(key, || Series::Gauge(Arc::default()), part).map_or_else(Gauge::noop, Gauge::from_arc)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let part = |series: &Series| if let Series::Histogram(it) = series { Some(it.clone()) } else { None };
        let new = || Series::Histogram(Arc::new(Buckets::new(bounds(key.name()))));
        self.series(key, new, part).map_or_else(Histogram::noop, Histogram::from_arc)
    }
}

/// The bounds of a metric's buckets. A histogram that isn't pynenc's own has the bounds for seconds.
fn bounds(name: &str) -> &'static [f64] {
    let metric = list::ALL.iter().find(|metric| metric.name == name);
    match metric.map(|metric| metric.kind) {
        Some(Kind::Histogram(bounds)) => bounds,
        _ => list::SECONDS,
    }
}

/// A histogram: the number of values in each bucket, and their sum.
struct Buckets {
    bounds: &'static [f64],
    /// One for each bound, and one for greater values.
    counts: Vec<AtomicU64>,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

impl Buckets {
    fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    fn render(&self, name: &str, labels: &str, text: &mut String) -> fmt::Result {
        let mut total = 0;
        for (bound, count) in self.bounds.iter().zip(&self.counts) {
            total += count.load(Ordering::Relaxed);
            writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {total}")?;
        }
        total += self.counts[self.bounds.len()].load(Ordering::Relaxed);
        let sum = f64::from_bits(self.sum.load(Ordering::Relaxed));
        writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {total}")?;
        writeln!(text, "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {total}")
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // The update can't fail, because `add` always returns a value.
        let _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

/// The labels of a key in the text format.
fn labels(key: &Key) -> String {
    let label = |label: &metrics::Label| format!("{}=\"{}\"", valid_name(label.key()), escaped(label.value()));
    key.labels().map(label).collect::<Vec<_>>().join(",")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A name in which each character that Prometheus doesn't allow is replaced.
fn valid_name(name: &str) -> String {
    name.chars().map(|char| if char.is_ascii_alphanumeric() || char == '_' { char } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(record: impl FnOnce(&MetricsRecorder)) -> String {
        let registry = Registry::default();
        record(&MetricsRecorder::new(registry.clone()));
        let mut text = String::new();
        registry.render("shop", &mut text);
        text
    }

    #[test]
    fn a_value_counts_in_its_bucket_and_in_all_greater_ones() {
        let text = rendered(|recorder| {
            let wait = recorder.histogram(&list::STORE_DURATION, &["submit"]);
            [0.001, 0.002, 7200.0].into_iter().for_each(|seconds| wait.record(seconds));
        });
        let name = "pynenc_store_operation_duration_seconds";
        let series = |le: &str| format!("{name}_bucket{{app=\"shop\",operation=\"submit\",le=\"{le}\"}}");
        for (le, count) in [("0.001", 1), ("0.0025", 2), ("3600", 2), ("+Inf", 3)] {
            assert!(text.contains(&format!("{} {count}\n", series(le))), "{text}");
        }
        assert!(text.contains(&format!("{name}_sum{{app=\"shop\",operation=\"submit\"}} 7200.003\n")), "{text}");
    }

    #[test]
    fn values_of_labels_are_escaped() {
        let text = rendered(|recorder| recorder.counter(&list::SUBMITTED, &["a\"b", "c\\d\ne"]).increment(2));
        let line = "pynenc_invocations_submitted_total{app=\"shop\",queue=\"a\\\"b\",task=\"c\\\\d\\ne\"} 2\n";
        assert!(text.contains(line) && text.contains("# TYPE pynenc_invocations_submitted_total counter\n"), "{text}");
    }

    #[test]
    fn a_name_that_another_kind_uses_records_nothing() {
        let text = rendered(|recorder| {
            recorder.counter(&list::LEASES_LOST, &[]).increment(1);
            recorder.gauge(&list::LEASES_LOST, &[]).set(7.0);
        });
        assert!(text.ends_with("pynenc_leases_lost_total{app=\"shop\"} 1\n"), "{text}");
    }
}
