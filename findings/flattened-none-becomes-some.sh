#!/usr/bin/env bash
# A flattened None comes back as Some, without an error, if every field of the inner struct is optional or has a
# default.
#
# `flatten` writes nothing for None. The deserializer tries to build the inner struct from the fields that are present.
# If no field is required, it succeeds. If the inner struct has one required field, None comes back as None.
#
# Seen 2026-11-30 with serde 1.0.229, serde_json 1.0.154, rmp-serde 1.3.1:
#   {"id":1}, JSON and MessagePack   None comes back as Some(Note { note: None })
#   with a required field            None comes back
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
serde = { version = "=1.0.229", features = ["derive"] }
serde_json = "=1.0.154"
rmp-serde = "=1.3.1"
[workspace]
TOML
cat > "$t/src/main.rs" <<'RUST'
use serde::{de::DeserializeOwned, Deserialize, Serialize};
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Note { note: Option<u8> }
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Required { note: Option<u8>, size: u8 }
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat<T> { id: u8, #[serde(flatten)] rest: Option<T> }
fn read<T: std::fmt::Debug + PartialEq + Serialize + DeserializeOwned>(value: Flat<T>) -> (bool, bool) {
    let text = serde_json::to_string(&value).unwrap();
    let json: Flat<T> = serde_json::from_str(&text).unwrap();
    let pack: Flat<T> = rmp_serde::from_slice(&rmp_serde::to_vec_named(&value).unwrap()).unwrap();
    println!("{value:?} is {text}\n  JSON {json:?}\n  MessagePack {pack:?}");
    (json == value, pack == value)
}
fn main() {
    assert_eq!(read(Flat { id: 1, rest: None::<Note> }), (false, false), "CHANGED");
    assert_eq!(read(Flat { id: 1, rest: None::<Required> }), (true, true), "CHANGED");
}
RUST
cd "$t" && CARGO_TARGET_DIR="$t/target" cargo run -q
