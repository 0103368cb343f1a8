//! Checks the alert rules and the dashboard with the programs and the documents that belong to them.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pynenc_engine::metrics::list;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in the workspace").to_owned()
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs `promtool`, which belongs to Prometheus.
fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool").args(arguments).current_dir(root().join("deploy/prometheus")).output();
    let output = output.expect("promtool is installed; scripts/test installs it");
    let complaints = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
}

/// The values of a key of the rules, such as `alert`.
fn values<'a>(yaml: &'a str, key: &str) -> Vec<&'a str> {
    let prefix = format!("{key}: ");
    yaml.lines().filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix(&prefix)).collect()
}

/// The queries of the dashboard's panels.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&text("deploy/grafana/pynenc.json")).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("the dashboard has panels");
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().expect("a target has a query").to_owned()).collect()
}

#[test]
fn prometheus_accepts_the_rules() {
    promtool(&["check", "rules", "alerts.yaml"]);
}

#[test]
fn each_alert_fires_for_its_series_and_for_no_others() {
    promtool(&["test", "rules", "alerts_test.yaml"]);
    let tests = text("deploy/prometheus/alerts_test.yaml");
    for alert in values(&text("deploy/prometheus/alerts.yaml"), "alert") {
        let (_, cases) = tests.split_once(&format!("alertname: {alert}\n")).expect("the alert is tested");
        assert!(cases.contains(&format!("alertname: {alert}\n")), "{alert} is tested once, not firing and firing");
    }
}

/// Prometheus parses a query that stands in a rule.
#[test]
fn prometheus_accepts_the_queries_of_the_dashboard() {
    let mut rules = String::from("groups:\n  - name: panels\n    rules:\n");
    let queries = queries();
    assert!(queries.len() >= list::ALL.len(), "each metric has a query");
    for (number, query) in queries.iter().enumerate() {
        let query = Value::from(query.replace("$__rate_interval", "5m"));
        let _ = writeln!(rules, "      - record: panel:{number}\n        expr: {query}");
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be created");
    let file = folder.path().join("panels.yaml");
    fs::write(&file, rules).expect("the file can be written");
    promtool(&["check", "rules", &file.display().to_string()]);
}

#[test]
fn each_alert_has_a_section_that_its_annotation_names() {
    let (rules, page) = (text("deploy/prometheus/alerts.yaml"), text("docs/src/alerts.md"));
    let (alerts, links) = (values(&rules, "alert"), values(&rules, "runbook_url"));
    assert!(alerts.len() >= 6 && alerts.len() == links.len(), "{alerts:?} {links:?}");
    for (alert, link) in alerts.iter().zip(links) {
        assert!(page.contains(&format!("\n## {alert}\n")), "docs/src/alerts.md has no section {alert}");
        assert!(link.ends_with(&format!("/docs/src/alerts.md#{}", alert.to_lowercase())), "{alert}: {link}");
    }
}

#[test]
fn rules_and_panels_name_metrics_of_the_list() {
    let series = |metric: &list::Metric| match metric.kind {
        list::Kind::Histogram(_) => format!("{}_bucket", metric.name),
        _ => metric.name.to_owned(),
    };
    let known: Vec<_> = list::ALL.iter().map(series).collect();
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let (rules, tests) = (text("deploy/prometheus/alerts.yaml"), text("deploy/prometheus/alerts_test.yaml"));
    let mut count = 0;
    for text in [vec![rules, tests], queries()].concat() {
        let names = text.split(|char| !is_part(char)).filter(|word| word.starts_with("pynenc_"));
        for name in names {
            assert!(known.iter().any(|known| known == name), "no metric has the series {name}");
            count += 1;
        }
    }
    assert!(count > list::ALL.len(), "too few names were found: {count}");
}
