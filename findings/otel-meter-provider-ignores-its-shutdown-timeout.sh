#!/usr/bin/env bash
# SdkMeterProvider::shutdown_with_timeout of OpenTelemetry for Rust ignores its timeout. It waits until the last export is
# over, and then returns Ok. So a collector that hangs delays the exit of a program for as long as the exporter waits.
#
# A program that has to exit in time calls it on a thread of its own and stops waiting, as pynenc-otel does.
#
# Seen 2026-12-01 with opentelemetry 0.33.1, opentelemetry_sdk 0.33.1, an exporter that takes 3 s:
#   shutdown with a limit of 0.2 s: Ok(()) after 3.0 s
# Fails if that changes.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
mkdir "$t/src"
cat > "$t/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
opentelemetry = { version = "=0.33.1", default-features = false, features = ["metrics"] }
opentelemetry_sdk = { version = "=0.33.1", default-features = false, features = ["metrics"] }
[workspace]
TOML
cat > "$t/src/main.rs" <<'RUST'
use std::time::{Duration, Instant};

use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};

struct Slow;

impl PushMetricExporter for Slow {
    async fn export(&self, _: &ResourceMetrics) -> OTelSdkResult {
        std::thread::sleep(Duration::from_secs(3));
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

fn main() {
    let provider = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(Slow).build()).build();
    provider.meter("finding").u64_counter("calls").build().add(1, &[]);
    let begun = Instant::now();
    let result = provider.shutdown_with_timeout(Duration::from_millis(200));
    println!("shutdown with a limit of 0.2 s: {result:?} after {:.1} s", begun.elapsed().as_secs_f64());
    assert!(result.is_ok() && begun.elapsed() > Duration::from_secs(2), "CHANGED");
}
RUST
cd "$t" && CARGO_TARGET_DIR="$t/target" cargo run -q
