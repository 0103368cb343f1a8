#!/usr/bin/env bash
# OpenTelemetry for Rust doesn't decode the values in OTEL_RESOURCE_ATTRIBUTES. The specification of the variable asks
# writers to percent-encode spaces, commas and other characters, and the SDK for Python (1.45.2) decodes them. So one
# variable for a whole deployment gives the services in Rust other values: they don't match in a query.
#
# pynenc-otel reads the variable itself.
#
# Seen 2026-12-01 with opentelemetry_sdk 0.33.1 and OTEL_RESOURCE_ATTRIBUTES=team=jobs%20and%20mail:
#   the resource has team = jobs%20and%20mail, not "jobs and mail"
# Fails if that changes.
# https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable
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
use opentelemetry::Key;
use opentelemetry_sdk::Resource;

fn main() {
    let team = Resource::builder().build().get(&Key::new("team")).map(|value| value.to_string());
    println!("team is {team:?}");
    assert_eq!(team.as_deref(), Some("jobs%20and%20mail"), "CHANGED");
}
RUST
cd "$t" && OTEL_RESOURCE_ATTRIBUTES='team=jobs%20and%20mail' CARGO_TARGET_DIR="$t/target" cargo run -q
