//! A short chaos test and a short soak test over each store. `scripts/chaos` runs longer ones.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

/// Runs the program and returns its output.
fn chaos(arguments: &[&str]) -> (bool, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_chaos")).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ran.status.success(), text(&ran.stdout) + &text(&ran.stderr))
}

/// The number before a word.
fn number(output: &str, word: &str) -> u64 {
    let before = output.split(&format!(" {word}")).next().unwrap();
    before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

fn promises_hold(store: &str) {
    let (is_success, output) = chaos(&["--store", store, "--seed", "11", "--minutes", "0.13", "--workers", "3"]);
    assert!(is_success, "{output}");
    assert!(number(&output, "faults") > 5 && number(&output, "invocations") > 100, "{output}");
}

fn nothing_is_left(store: &str, entries: &str) {
    let arguments = ["--seed", "11", "--minutes", "0.1", "--workers", "1", "--clients", "1"];
    let (_, output) = chaos(&[&["--soak", "--store", store][..], &arguments].concat());
    let left = number(&output, "after every retention");
    let before = number(&output, &format!("{entries} before"));
    assert!(number(&output, "runs") > 100 && left <= before + 30, "{output}");
}

#[test]
fn every_promise_holds_under_random_faults() {
    promises_hold("redis");
}

#[test]
fn every_promise_holds_over_sqlite_under_random_faults() {
    promises_hold("sqlite");
}

#[test]
fn a_steady_load_leaves_no_keys_after_its_retention() {
    nothing_is_left("redis", "keys");
}

#[test]
fn a_steady_load_leaves_no_rows_after_its_retention() {
    nothing_is_left("sqlite", "rows");
}
