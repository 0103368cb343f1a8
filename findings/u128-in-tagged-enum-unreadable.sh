#!/usr/bin/env bash
# A u128 in an internally tagged enum, an untagged enum or a flattened struct can be written, but not read.
#
# The deserializer of such types first buffers the value, and its buffer can't hold integers of 128 bits. Even a small
# number fails, in every format. The same field in an externally or adjacently tagged enum comes back. So changing the
# enum's attribute makes stored values unreadable.
#
# Seen 2026-11-30 with serde 1.0.229, serde_json 1.0.154, rmp-serde 1.3.1, for the number 7 and for u128::MAX:
#   JSON          written as {"type":"Wide","number":7}; read: "u128 is not supported"
#   MessagePack   written as 16 bytes; read: "u128 is not supported"
#   untagged, both formats            read: "data did not match any variant of untagged enum"
#   externally tagged, both formats   comes back
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
#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum Internal { Wide { number: u128 } }
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged { Wide { number: u128 } }
#[derive(Serialize, Deserialize)]
enum External { Wide { number: u128 } }
#[derive(Serialize, Deserialize)]
struct Wide { number: u128 }
#[derive(Serialize, Deserialize)]
struct Flat { #[serde(flatten)] rest: Wide }
fn read<T: Serialize + DeserializeOwned>(name: &str, value: T) -> (bool, bool) {
    let text = serde_json::to_string(&value).unwrap();
    let json = serde_json::from_str::<T>(&text).map(drop);
    let pack = rmp_serde::from_slice::<T>(&rmp_serde::to_vec_named(&value).unwrap()).map(drop);
    println!("{name}: {text}\n  JSON {json:?}\n  MessagePack {pack:?}");
    (json.is_ok(), pack.is_ok())
}
fn main() {
    for number in [7, u128::MAX] {
        assert_eq!(read("internally tagged", Internal::Wide { number }), (false, false), "CHANGED");
        assert_eq!(read("untagged", Untagged::Wide { number }), (false, false), "CHANGED");
        assert_eq!(read("flattened", Flat { rest: Wide { number } }), (false, false), "CHANGED");
        assert_eq!(read("externally tagged", External::Wide { number }), (true, true), "CHANGED");
    }
}
RUST
cd "$t" && CARGO_TARGET_DIR="$t/target" cargo run -q
