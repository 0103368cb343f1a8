#!/usr/bin/env bash
# MessagePack can write an IpAddr in an internally tagged enum or a flattened struct, but can't read it.
#
# A type may have a human-readable form and a compact form. MessagePack uses the compact form. The deserializer of a
# tagged enum buffers the value and then reports a human-readable format, so the type expects its human-readable form. A
# UUID comes back, because its deserializer accepts both forms.
#
# Seen 2026-11-30 with serde 1.0.229, rmp-serde 1.3.1, uuid 1.29.1:
#   IpAddr in a plain struct         comes back
#   IpAddr in a tagged enum          read fails with "invalid type: map, expected IP address"
#   IpAddr in a flattened struct     the same
#   Uuid in a tagged enum            comes back
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
rmp-serde = "=1.3.1"
uuid = { version = "=1.29.1", features = ["serde"] }
[workspace]
TOML
cat > "$t/src/main.rs" <<'RUST'
use serde::{de::DeserializeOwned, Deserialize, Serialize};
use std::net::IpAddr;
#[derive(Serialize, Deserialize)]
struct Plain<T> { value: T }
#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged<T> { One { value: T } }
#[derive(Serialize, Deserialize)]
struct Flat<T> { #[serde(flatten)] rest: Plain<T> }
fn read<T: Serialize + DeserializeOwned>(name: &str, value: T) -> bool {
    let read = rmp_serde::from_slice::<T>(&rmp_serde::to_vec_named(&value).unwrap()).map(drop);
    println!("{name}: {read:?}");
    read.is_ok()
}
fn main() {
    let ip: IpAddr = "127.0.0.1".parse().unwrap();
    assert!(read("IpAddr in a plain struct", Plain { value: ip }), "CHANGED");
    assert!(!read("IpAddr in a tagged enum", Tagged::One { value: ip }), "CHANGED");
    assert!(!read("IpAddr in a flattened struct", Flat { rest: Plain { value: ip } }), "CHANGED");
    assert!(read("Uuid in a tagged enum", Tagged::One { value: uuid::Uuid::from_u128(u128::MAX) }), "CHANGED");
}
RUST
cd "$t" && CARGO_TARGET_DIR="$t/target" cargo run -q
