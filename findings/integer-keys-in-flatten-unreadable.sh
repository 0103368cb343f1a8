#!/usr/bin/env bash
# JSON writes the integer keys of a map as text and reads them back, but not if the map is flattened or inside an
# internally tagged enum.
#
# If a type asks for an integer key, the JSON deserializer parses the text. The deserializer of a flattened map first
# buffers the keys as text, and a text isn't accepted as an integer. MessagePack writes integers, so it reads all of
# these maps back.
#
# Seen 2026-11-30 with serde 1.0.229, serde_json 1.0.154, rmp-serde 1.3.1:
#   {"1":2} alone                    comes back from both
#   {"id":1,"1":2}, flattened        JSON read fails with 'invalid type: string "1", expected u32'; MessagePack comes back
#   {"type":"One","value":{"1":2}}   the same
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
use std::collections::BTreeMap;
type Map = BTreeMap<u32, u8>;
#[derive(Serialize, Deserialize)]
struct Flat { id: u8, #[serde(flatten)] rest: Map }
#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged { One { value: Map } }
fn read<T: Serialize + DeserializeOwned>(value: T) -> (bool, bool) {
    let text = serde_json::to_string(&value).unwrap();
    let json = serde_json::from_str::<T>(&text).map(drop);
    let pack = rmp_serde::from_slice::<T>(&rmp_serde::to_vec_named(&value).unwrap()).map(drop);
    println!("{text}\n  JSON {json:?}\n  MessagePack {pack:?}");
    (json.is_ok(), pack.is_ok())
}
fn main() {
    let map = Map::from([(1, 2)]);
    assert_eq!(read(map.clone()), (true, true), "CHANGED");
    assert_eq!(read(Flat { id: 1, rest: map.clone() }), (false, true), "CHANGED");
    assert_eq!(read(Tagged::One { value: map }), (false, true), "CHANGED");
}
RUST
cd "$t" && CARGO_TARGET_DIR="$t/target" cargo run -q
