//! The Grafana dashboard, generated from the list of metrics.

use pynenc::engine::metrics::list::{self, ALL, Kind, Metric};
use serde_json::{Value, json};

/// The height of a panel, and the width of the dashboard, in units of Grafana's grid.
const HEIGHT: usize = 8;
const WIDTH: usize = 24;
/// The largest number of panels beside each other.
const COLUMNS: usize = 3;

/// A row of panels.
type Row = (&'static str, &'static [Panel]);

/// A panel with the metrics that it shows. They have the same unit.
struct Panel {
    title: &'static str,
    metrics: &'static [Metric],
    /// The labels by which series are summed up. A histogram shows quantiles for each combination.
    by: &'static [&'static str],
}

const fn panel(title: &'static str, metrics: &'static [Metric], by: &'static [&'static str]) -> Panel {
    Panel { title, metrics, by }
}

/// The panels whose titles, order and labels are chosen here. All other metrics get a panel of their own.
const ROWS: &[Row] = &[
    (
        "Throughput",
        &[
            panel("Submitted invocations", &[list::SUBMITTED], &["task"]),
            panel("Started attempts", &[list::STARTED], &["task"]),
            panel("Finished invocations", &[list::FINISHED], &["status", "error_kind"]),
            panel("Retries", &[list::RETRIED], &["task", "error_kind"]),
            panel("Invocations by status", &[list::INVOCATIONS], &["status"]),
        ],
    ),
    (
        "Latency",
        &[
            panel("Wait from submit to start", &[list::WAIT], &[]),
            panel("Run time of an attempt", &[list::RUN], &[]),
            panel("Age of the oldest ready invocation", &[list::OLDEST_READY], &["queue"]),
        ],
    ),
    (
        "Backlog",
        &[
            panel("Waiting invocations", &[list::WAITING], &["queue"]),
            panel("Ready invocations", &[list::READY], &["queue"]),
            panel("Delayed invocations", &[list::DELAYED], &["queue"]),
        ],
    ),
    (
        "Runners",
        &[
            panel("Runners that are alive", &[list::RUNNERS], &[]),
            panel("Slots of the app", &[list::APP_SLOTS], &[]),
            panel("Slots of the scraped processes", &[list::SLOTS, list::SLOTS_USED, list::PAUSED], &[]),
        ],
    ),
    (
        "Errors and recovery",
        &[
            panel("Lost leases", &[list::LEASES_LOST], &[]),
            panel("Recovered invocations", &[list::RECOVERED], &["task"]),
            panel("Poison pills", &[list::POISON_PILLS], &["task"]),
            panel("Lost claims", &[list::LOST_CLAIMS], &["task"]),
            panel("Abandoned threads", &[list::ABANDONED_THREADS], &[]),
        ],
    ),
    (
        "Stores",
        &[
            panel("Duration of a round trip", &[list::STORE_DURATION], &["operation"]),
            panel("Failed round trips", &[list::STORE_ERRORS], &["operation", "error_kind"]),
            panel("Reconnects", &[list::RECONNECTS], &[]),
        ],
    ),
    ("Payloads", &[panel("Arguments", &[list::ARGUMENTS], &[]), panel("Results", &[list::RESULT], &[])]),
    (
        "Triggers",
        &[
            panel("Firings", &[list::TRIGGER_FIRINGS], &["task"]),
            panel("Failures", &[list::TRIGGER_FAILURES], &["task"]),
            panel("Missed slots of schedules", &[list::MISSED_SLOTS], &["task"]),
            panel("Reaction time", &[list::TRIGGER_REACTION], &[]),
        ],
    ),
    (
        "Workflows",
        &[
            panel("Operations in a journal", &[list::JOURNAL_ENTRIES], &[]),
            panel("Replays", &[list::REPLAYS], &["task"]),
            panel("Runs that don't match their journal", &[list::NON_DETERMINISM], &["task"]),
        ],
    ),
];

/// The file of the dashboard.
pub fn json() -> String {
    let mut panels = Vec::new();
    let mut y = 0;
    for (title, row) in rows() {
        panels.push(json!({
            "id": panels.len() + 1, "type": "row", "title": title, "collapsed": false, "panels": [],
            "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
        }));
        y += 1;
        for line in row.chunks(COLUMNS) {
            let width = WIDTH / line.len();
            for (column, panel) in line.iter().enumerate() {
                let position = json!({"x": column * width, "y": y, "w": width, "h": HEIGHT});
                panels.push(panel_json(panel, panels.len() + 1, &position));
            }
            y += HEIGHT;
        }
    }
    let dashboard = json!({
        "uid": "pynenc",
        "title": "pynenc",
        "description": "Generated from the list of metrics. docs/src/alerts.md describes how to use it.",
        "tags": ["pynenc"],
        "schemaVersion": 39,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": variables()},
        "panels": panels,
    });
    format!("{dashboard:#}\n")
}

/// The rows of [`ROWS`], and one more for the metrics that it doesn't name.
fn rows() -> Vec<(&'static str, Vec<Shown>)> {
    let is_named = |metric: &Metric| named().any(|name| name == metric.name);
    let chosen = ROWS.iter().map(|(title, row)| (*title, row.iter().map(Shown::chosen).collect()));
    let others: Vec<_> = ALL.iter().filter(|metric| !is_named(metric)).map(Shown::alone).collect();
    chosen.chain((!others.is_empty()).then_some(("Others", others))).collect()
}

/// The metrics of [`ROWS`].
fn named() -> impl Iterator<Item = &'static str> {
    ROWS.iter().flat_map(|(_, row)| row.iter()).flat_map(|panel| panel.metrics).map(|metric| metric.name)
}

/// A panel of either kind.
struct Shown {
    title: String,
    metrics: &'static [Metric],
    by: &'static [&'static str],
}

impl Shown {
    fn chosen(panel: &Panel) -> Self {
        Self { title: panel.title.to_owned(), metrics: panel.metrics, by: panel.by }
    }

    fn alone(metric: &'static Metric) -> Self {
        let by = if matches!(metric.kind, Kind::Histogram(_)) { &[] } else { metric.labels };
        Self { title: metric.name.to_owned(), metrics: std::slice::from_ref(metric), by }
    }
}

fn panel_json(panel: &Shown, id: usize, position: &Value) -> Value {
    let helps: Vec<_> = panel.metrics.iter().map(|metric| format!("`{}`: {}.", metric.name, metric.help)).collect();
    let queries = panel.metrics.iter().flat_map(|metric| queries(metric, panel.by, panel.metrics.len() > 1));
    let targets = queries.zip('A'..).map(|((query, legend), letter)| {
        json!({"refId": letter, "datasource": datasource(), "expr": query, "legendFormat": legend, "range": true})
    });
    json!({
        "id": id,
        "type": "timeseries",
        "title": panel.title,
        "description": helps.join("\n\n"),
        "datasource": datasource(),
        "gridPos": position,
        "targets": targets.collect::<Vec<_>>(),
        "fieldConfig": {"defaults": {"unit": unit(&panel.metrics[0]), "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    })
}

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// Grafana's name of the unit. Counters are shown as rates.
fn unit(metric: &Metric) -> &'static str {
    match (metric.kind, metric.name) {
        (Kind::Counter, _) => "cps",
        (_, name) if name.ends_with("_seconds") => "s",
        (_, name) if name.ends_with("_bytes") => "bytes",
        _ => "short",
    }
}

/// The queries of a metric, each with its legend.
fn queries(metric: &Metric, by: &[&str], is_named: bool) -> Vec<(String, String)> {
    let labels: Vec<_> = by.iter().map(|label| format!("{{{{{label}}}}}")).collect();
    let name = metric.name;
    let legend = if is_named || labels.is_empty() { name.to_owned() } else { labels.join(" ") };
    let series = |suffix: &str| format!("{name}{suffix}{{{}}}", selectors(metric).join(", "));
    let sum = |labels: &[&str], value: &str| match labels {
        [] => format!("sum({value})"),
        labels => format!("sum by ({}) ({value})", labels.join(", ")),
    };
    match metric.kind {
        Kind::Counter => vec![(sum(by, &format!("rate({}[$__rate_interval])", series(""))), legend)],
        // More than one process may export the gauges of the app; a sum would count them twice.
        Kind::Gauge if !is_of_process(metric) => {
            let labels = [&["app"], by].concat();
            vec![(format!("max by ({}) ({})", labels.join(", "), series("")), legend)]
        }
        Kind::Gauge => vec![(sum(by, &series("")), legend)],
        Kind::Histogram(_) => {
            let buckets = sum(&[&["le"], by].concat(), &format!("rate({}[$__rate_interval])", series("_bucket")));
            let quantile = |percent: u32| {
                let legend = format!("p{percent} {}", labels.join(" "));
                (format!("histogram_quantile(0.{percent}, {buckets})"), legend.trim_end().to_owned())
            };
            [50, 95, 99].map(quantile).to_vec()
        }
    }
}

/// Whether each process exports its own value.
fn is_of_process(metric: &Metric) -> bool {
    metric.name.starts_with("pynenc_runner_")
}

/// The selectors that apply the variables.
fn selectors(metric: &Metric) -> Vec<String> {
    let filtered = ["queue", "task"].into_iter().filter(|label| metric.labels.contains(label));
    ["app"].into_iter().chain(filtered).map(|label| format!("{label}=~\"${label}\"")).collect()
}

fn variables() -> Value {
    let labels = |name: &str, query: String, is_multiple: bool| {
        json!({
            "name": name, "type": "query", "datasource": datasource(), "definition": query,
            "query": {"query": query, "refId": name}, "refresh": 2, "sort": 1, "multi": is_multiple,
            "includeAll": is_multiple, "allValue": if is_multiple { json!(".*") } else { Value::Null },
            "current": if is_multiple { json!({"text": "All", "value": "$__all"}) } else { json!({}) },
        })
    };
    let tasks = format!("{}{{app=~\"$app\", queue=~\"$queue\"}}", list::STARTED.name);
    json!([
        {"name": "datasource", "label": "data source", "type": "datasource", "query": "prometheus", "current": {}},
        labels("app", format!("label_values({}, app)", list::SUBMITTED.name), false),
        labels("queue", format!("label_values({}{{app=~\"$app\"}}, queue)", list::WAITING.name), true),
        labels("task", format!("label_values({tasks}, task)"), true),
    ])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_metric_is_in_one_panel() {
        let mut panels: BTreeMap<&str, usize> = ALL.iter().map(|metric| (metric.name, 0)).collect();
        let rows = rows();
        let shown = rows.iter().flat_map(|(_, row)| row).flat_map(|panel| panel.metrics);
        shown.for_each(|metric| *panels.get_mut(metric.name).expect("the metric is in the list") += 1);
        assert!(panels.values().all(|count| *count == 1), "{panels:?}");
    }

    #[test]
    fn a_panel_has_one_unit_and_labels_that_its_metrics_have() {
        for (_, row) in rows() {
            for Shown { title, metrics, by } in row {
                assert!(metrics.iter().all(|metric| unit(metric) == unit(&metrics[0])), "{title}");
                assert!(metrics.iter().all(|metric| by.iter().all(|label| metric.labels.contains(label))), "{title}");
            }
        }
    }
}
