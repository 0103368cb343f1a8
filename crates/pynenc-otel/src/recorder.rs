//! A recorder of the engine's metrics that forwards to a meter of OpenTelemetry.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use pynenc_engine::metrics::{Kind, Metric, list};

use crate::gauges::GaugeValues;

/// Forwards to a meter. Clones share their instruments.
#[derive(Clone)]
pub(crate) struct OtelRecorder {
    meter: Meter,
    app: KeyValue,
    /// The gauges that the SDK reads already.
    observed: Arc<Mutex<HashSet<String>>>,
    /// The gauges of this process and those of the whole app.
    process: GaugeValues,
    of_app: GaugeValues,
}

impl fmt::Debug for OtelRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtelRecorder").field("app", &self.app).finish_non_exhaustive()
    }
}

impl OtelRecorder {
    pub(crate) fn new(meter: Meter, app_id: &str) -> Self {
        Self {
            meter,
            app: KeyValue::new("app", app_id.to_owned()),
            observed: Arc::default(),
            process: GaugeValues::default(),
            of_app: GaugeValues::default(),
        }
    }

    /// A recorder whose gauges are kept apart until [`OtelRecorder::show_app`] exports them.
    pub(crate) fn reading_app(&self) -> Self {
        Self { process: GaugeValues::default(), ..self.clone() }
    }

    /// Exports the gauges of such a recorder as those of the whole app, instead of the last ones.
    pub(crate) fn show_app(&self, reading: &Self) {
        self.of_app.replace_by(&reading.process);
    }

    /// Stops exporting the gauges of the whole app.
    pub(crate) fn hide_app(&self) {
        self.of_app.replace_by(&GaugeValues::default());
    }

    /// Lets the SDK read a gauge. Both kinds of gauges are read, but each gauge belongs to one kind.
    fn observe(&self, name: &str) {
        let mut observed = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        if !observed.insert(name.to_owned()) {
            return;
        }
        let (kinds, app, name) = ([self.process.clone(), self.of_app.clone()], self.app.clone(), name.to_owned());
        let Described { name: otel_name, unit, help, .. } = Described::of(&name);
        let gauge = self.meter.f64_observable_gauge(otel_name).with_unit(unit).with_description(help);
        let _ = gauge
            .with_callback(move |instrument| {
                for values in &kinds {
                    values.observe(&name, |key, value| instrument.observe(value, &attributes(&app, key)));
                }
            })
            .build();
    }
}

impl Recorder for OtelRecorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let Described { name, unit, help, .. } = Described::of(key.name());
        let counter = self.meter.u64_counter(name).with_unit(unit).with_description(help).build();
        Counter::from_arc(Arc::new(Series { instrument: counter, attributes: attributes(&self.app, key) }))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.observe(key.name());
        Gauge::from_arc(Arc::new(self.process.series(key.clone())))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let Described { name, unit, help, bounds } = Described::of(key.name());
        let histogram = self.meter.f64_histogram(name).with_unit(unit).with_description(help);
        let histogram = histogram.with_boundaries(bounds.to_vec()).build();
        Histogram::from_arc(Arc::new(Series { instrument: histogram, attributes: attributes(&self.app, key) }))
    }
}

/// An instrument with the attributes of one series.
struct Series<I> {
    instrument: I,
    attributes: Vec<KeyValue>,
}

impl CounterFn for Series<opentelemetry::metrics::Counter<u64>> {
    fn increment(&self, value: u64) {
        self.instrument.add(value, &self.attributes);
    }

    /// Does nothing: the counters of the engine only increment.
    fn absolute(&self, _: u64) {}
}

impl HistogramFn for Series<opentelemetry::metrics::Histogram<f64>> {
    fn record(&self, value: f64) {
        self.instrument.record(value, &self.attributes);
    }
}

/// A metric as OpenTelemetry describes it.
struct Described {
    name: Cow<'static, str>,
    unit: &'static str,
    help: &'static str,
    bounds: &'static [f64],
}

impl Described {
    /// The description of a metric by its name in the list. A metric of an extension keeps its name.
    fn of(name: &str) -> Self {
        match list::ALL.iter().find(|metric| metric.name == name) {
            Some(metric) => Self {
                name: otel_name(metric).into(),
                unit: unit(metric),
                help: metric.help,
                bounds: if let Kind::Histogram(bounds) = metric.kind { bounds } else { &[] },
            },
            None => Self { name: name.to_owned().into(), unit: "", help: "", bounds: list::SECONDS },
        }
    }
}

/// The name with dots, and without the suffixes for the unit and for counters, which Prometheus adds when it receives the
/// metric.
fn otel_name(metric: &Metric) -> String {
    let suffixes = ["_total", "_seconds", "_bytes"];
    let name = suffixes.iter().find_map(|suffix| metric.name.strip_suffix(suffix)).unwrap_or(metric.name);
    name.replace('_', ".")
}

/// The unit in the code of UCUM. An annotation in braces means a number of things.
fn unit(metric: &Metric) -> &'static str {
    match metric.unit {
        Unit::Seconds => "s",
        Unit::Bytes => "By",
        _ => "{item}",
    }
}

fn attributes(app: &KeyValue, key: &Key) -> Vec<KeyValue> {
    let label = |label: &metrics::Label| KeyValue::new(label.key().to_owned(), label.value().to_owned());
    std::iter::once(app.clone()).chain(key.labels().map(label)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules by which Prometheus names a metric that it receives over OTLP.
    fn prometheus_name(metric: &Metric) -> String {
        let name = otel_name(metric).replace('.', "_");
        let unit = match unit(metric) {
            "s" => "_seconds",
            "By" => "_bytes",
            _ => "",
        };
        format!("{name}{unit}{}", if metric.kind == Kind::Counter { "_total" } else { "" })
    }

    #[test]
    fn prometheus_gives_a_metric_its_own_name_again() {
        for metric in list::ALL {
            assert_eq!(prometheus_name(metric), metric.name);
        }
    }
}
