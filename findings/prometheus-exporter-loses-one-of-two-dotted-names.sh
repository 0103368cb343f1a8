#!/usr/bin/env bash
# Two counters whose names differ only in a character that Prometheus doesn't allow (`http.requests`, `http_requests`)
# become one series in the text of metrics-exporter-prometheus. The series has the value of one of them, and which one
# changes from run to run. Histograms with such names are added up instead.
#
# Two labels of one counter that differ in the same way (`user.id`, `user_id`) both keep the name `user_id`. The parser of
# Prometheus refuses the whole text for that ("duplicate label names", promtool 2.42), so one counter hides all metrics of
# the process. Names with dots are the rule in OpenTelemetry.
#
# Seen 2026-12-01 with metrics 0.24.6, metrics-exporter-prometheus 0.18.3, 20 runs:
#   http.requests + 1, http_requests + 2      http_requests 1 in some runs, http_requests 2 in the others, never 3
#   wait.seconds and wait_seconds, one value each   wait_seconds_count 2
#   logins with user.id="a" and user_id="b"   logins{user_id="a",user_id="b"} 1
# Fails if any of this changes.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
mkdir "$t/src"
cat > "$t/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
metrics = "=0.24.6"
metrics-exporter-prometheus = { version = "=0.18.3", default-features = false }
[workspace]
TOML
cat > "$t/src/main.rs" <<'RUST'
use metrics::{Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::PrometheusBuilder;

fn main() {
    let recorder = PrometheusBuilder::new().set_buckets(&[1.0]).unwrap().build_recorder();
    let (handle, metadata) = (recorder.handle(), Metadata::new("finding", Level::INFO, None));
    for (name, count) in [("http.requests", 1), ("http_requests", 2)] {
        recorder.register_counter(&Key::from_static_name(name), &metadata).increment(count);
    }
    for name in ["wait.seconds", "wait_seconds"] {
        recorder.register_histogram(&Key::from_static_name(name), &metadata).record(0.5);
    }
    let labels = vec![Label::new("user.id", "a"), Label::new("user_id", "b")];
    recorder.register_counter(&Key::from_parts("logins", labels), &metadata).increment(1);
    print!("{}", handle.render());
}
RUST
cd "$t" && CARGO_TARGET_DIR="$t/target" cargo build -q
for _ in $(seq 20); do ./target/debug/finding; done > all.txt
grep -E '^(http_requests|wait_seconds_count|logins)' all.txt | sort | uniq -c
check() { local n; n=$(grep -cxF "$1" all.txt || true); [ "$n" "$2" "$3" ] || { echo "CHANGED: $1 in $n runs"; exit 1; }; }
check "http_requests 1" -ge 1; check "http_requests 2" -ge 1; check "http_requests 3" -eq 0
check "wait_seconds_count 2" -eq 20; check 'logins{user_id="a",user_id="b"} 1' -eq 20
