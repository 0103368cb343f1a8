#!/usr/bin/env bash
# If any crate of a program turns on serde_json's feature arbitrary_precision, the whole program can no longer read
# floats in internally tagged enums, in untagged enums and in flattened structs.
#
# With the feature, a buffered number becomes a map with a private key. The deserializer of the enum passes that map to
# a type that expects a float. So a crate that only needs exact numbers in a Value breaks the types of other crates.
#
# Seen 2026-11-30 with serde 1.0.229, serde_json 1.0.154:
#   {"type":"One","value":1.5} without the feature   comes back
#   {"type":"One","value":1.5} with the feature      read fails with "invalid type: map, expected f64"
#   flattened                                        the same
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
arbitrary = ["serde_json/arbitrary_precision"]
[dependencies]
serde = { version = "=1.0.229", features = ["derive"] }
serde_json = "=1.0.154"
[workspace]
TOML
cat > "$t/src/main.rs" <<'RUST'
use serde::{de::DeserializeOwned, Deserialize, Serialize};
#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged { One { value: f64 } }
#[derive(Serialize, Deserialize)]
struct Plain { value: f64 }
#[derive(Serialize, Deserialize)]
struct Flat { id: u8, #[serde(flatten)] rest: Plain }
fn read<T: Serialize + DeserializeOwned>(value: T) -> bool {
    let text = serde_json::to_string(&value).unwrap();
    let read = serde_json::from_str::<T>(&text).map(drop);
    println!("arbitrary_precision {}: {text} {read:?}", cfg!(feature = "arbitrary"));
    read.is_ok()
}
fn main() {
    let is_plain = !cfg!(feature = "arbitrary");
    assert!(read(Plain { value: 1.5 }), "CHANGED");
    assert_eq!(read(Tagged::One { value: 1.5 }), is_plain, "CHANGED");
    assert_eq!(read(Flat { id: 1, rest: Plain { value: 1.5 } }), is_plain, "CHANGED");
}
RUST
cd "$t" && CARGO_TARGET_DIR="$t/target" cargo run -q && CARGO_TARGET_DIR="$t/target" cargo run -q --features arbitrary
