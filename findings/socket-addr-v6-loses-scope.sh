#!/usr/bin/env bash
# A SocketAddrV6 of the standard library comes back from serde as a different address, without an error.
#
# Human-readable formats write its Display form, which has the scope but not the flow label. Compact formats write only
# the address and the port. So a link-local address loses the network interface that it belongs to.
#
# Seen 2026-11-30 with serde 1.0.229, serde_json 1.0.154, rmp-serde 1.3.1:
#   scope 3 in JSON          comes back
#   scope 3 in MessagePack   comes back as scope 0
#   flow label 5 in JSON     comes back as flow label 0
#   flow label 5 in MessagePack   comes back as flow label 0
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
use std::net::SocketAddrV6;
fn main() {
    let ip = "fe80::1".parse().unwrap();
    let mut seen = Vec::new();
    for (what, given) in [("scope 3", SocketAddrV6::new(ip, 80, 0, 3)), ("flow label 5", SocketAddrV6::new(ip, 80, 5, 0))] {
        let text = serde_json::to_string(&given).unwrap();
        let json: SocketAddrV6 = serde_json::from_str(&text).unwrap();
        let pack: SocketAddrV6 = rmp_serde::from_slice(&rmp_serde::to_vec_named(&given).unwrap()).unwrap();
        println!("{what}: JSON {text} -> scope {} flow {}; MessagePack -> scope {} flow {}",
            json.scope_id(), json.flowinfo(), pack.scope_id(), pack.flowinfo());
        seen.push((json == given, pack == given));
    }
    assert_eq!(seen, [(true, false), (false, false)], "CHANGED");
}
RUST
cd "$t" && CARGO_TARGET_DIR="$t/target" cargo run -q
