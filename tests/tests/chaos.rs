//! A short chaos test and a short soak test. `scripts/chaos` runs longer ones.

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

#[test]
fn every_promise_holds_under_random_faults() {
    let (is_success, output) = chaos(&["--seed", "11", "--minutes", "0.13", "--workers", "3"]);
    assert!(is_success, "{output}");
    assert!(number(&output, "faults") > 5 && number(&output, "invocations") > 100, "{output}");
}

#[test]
fn a_steady_load_leaves_no_keys_after_its_retention() {
    let (_, output) = chaos(&["--soak", "--seed", "11", "--minutes", "0.1", "--workers", "1", "--clients", "1"]);
    let left = number(&output, "after every retention");
    assert!(number(&output, "runs") > 100 && left <= number(&output, "keys before") + 30, "{output}");
}
