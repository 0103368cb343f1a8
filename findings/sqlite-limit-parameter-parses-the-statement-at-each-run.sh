#!/usr/bin/env bash
# A prepared SQLite statement whose LIMIT is a parameter is parsed and planned again at each run, even if the same number
# is bound each time. `prepare_cached` doesn't help: it returns the statement, and SQLite prepares it again inside of the
# first step. The same statement with the number in its text is prepared once.
#
# The planner looks at the number that is bound to the parameter, so each bind makes the plan expire. The option
# SQLITE_DBCONFIG_ENABLE_QPSG stops that.
#
# Seen 2026-12-01, repeated prepares in 900 runs:
#                                   rusqlite 0.39.0 (SQLite 3.51.3)   rusqlite 0.40.2 (SQLite 3.53.2)
#   .. ORDER BY k LIMIT 10          0                                 0
#   .. ORDER BY k LIMIT ?3          900                               900
#   the same, with QPSG             0                                 0
# Fails if any of this changes.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
run() {
    mkdir -p "$t/$1/src"
    cat > "$t/$1/Cargo.toml" <<TOML
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
rusqlite = { version = "=$1", default-features = false, features = ["bundled", "cache"] }
libsqlite3-sys = "=$2"
[workspace]
TOML
    cat > "$t/$1/src/main.rs" <<'RUST'
use rusqlite::config::DbConfig;
use rusqlite::{params_from_iter, Connection, StatementStatus};
const NUMBER: &str = "SELECT v FROM jobs WHERE k >= ?1 AND k < ?2 ORDER BY k LIMIT 10";
const PARAMETER: &str = "SELECT v FROM jobs WHERE k >= ?1 AND k < ?2 ORDER BY k LIMIT ?3";
fn prepares(sql: &str, is_stable: bool) -> i32 {
    let connection = Connection::open_in_memory().unwrap();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, is_stable).unwrap();
    connection.execute_batch("CREATE TABLE jobs (k INTEGER PRIMARY KEY, v TEXT)").unwrap();
    for k in 0..1_000 {
        connection.execute("INSERT INTO jobs VALUES (?1, 'x')", [k]).unwrap();
    }
    let mut statement = connection.prepare(sql).unwrap();
    for first in 0..900 {
        let values = [first, first + 20, 10];
        assert!(statement.exists(params_from_iter(&values[..statement.parameter_count()])).unwrap());
    }
    statement.get_status(StatementStatus::RePrepare)
}
fn main() {
    let found = [prepares(NUMBER, false), prepares(PARAMETER, false), prepares(PARAMETER, true)];
    println!("SQLite {}: {found:?}", rusqlite::version());
    let expected = std::env::args().nth(1).unwrap();
    assert_eq!((rusqlite::version(), found), (expected.as_str(), [0, 900, 0]), "CHANGED");
}
RUST
    (cd "$t/$1" && CARGO_TARGET_DIR="$t/target" cargo run -q -- "$3")
}
run 0.39.0 0.37.0 3.51.3
run 0.40.2 0.38.2 3.53.2
