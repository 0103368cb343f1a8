#!/usr/bin/env bash
# An f32 in an internally tagged enum comes back from JSON as the neighbouring f32, even with serde_json's
# float_roundtrip.
#
# With the feature, a deserializer that asks for an f32 gets it exactly. The deserializer of a tagged enum asks for any
# number and gets an f64, which is then rounded a second time. Without the feature, even a plain f64 loses its last bit.
#
# Seen 2026-11-30 with serde 1.0.229, serde_json 1.0.154:
#   7.038531e-26_f32 alone, with float_roundtrip           comes back
#   7.038531e-26_f32 in a tagged enum, with the feature    comes back as 7.0385313e-26
#   31.245270191439438_f64 alone, without the feature      comes back as 31.24527019143944
# Fails if any of this changes.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
mkdir "$t/src"
cat > "$t/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[features]
exact = ["serde_json/float_roundtrip"]
[dependencies]
serde = { version = "=1.0.229", features = ["derive"] }
serde_json = "=1.0.154"
[workspace]
TOML
cat > "$t/src/main.rs" <<'RUST'
use serde::{Deserialize, Serialize};
#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged { Single { value: f32 } }
fn main() {
    let (single, double) = (7.038531e-26_f32, 31.245270191439438_f64);
    let alone: f32 = serde_json::from_str(&serde_json::to_string(&single).unwrap()).unwrap();
    let Tagged::Single { value: tagged } =
        serde_json::from_str(&serde_json::to_string(&Tagged::Single { value: single }).unwrap()).unwrap();
    let back: f64 = serde_json::from_str(&serde_json::to_string(&double).unwrap()).unwrap();
    println!("float_roundtrip {}: f32 {single:e} -> {alone:e}, in a tagged enum -> {tagged:e}; f64 {double} -> {back}",
        cfg!(feature = "exact"));
    if cfg!(feature = "exact") {
        assert!(alone == single && tagged != single && back == double, "CHANGED");
    } else {
        assert!(back != double, "CHANGED");
    }
}
RUST
cd "$t" && CARGO_TARGET_DIR="$t/target" cargo run -q && CARGO_TARGET_DIR="$t/target" cargo run -q --features exact
