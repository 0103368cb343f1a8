//! A short fire, and a short soak; `scripts/chaos` makes longer ones.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

/// Runs the program, and gives what it says.
fn chaos(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_chaos")).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

/// The number before a word.
fn number(told: &str, word: &str) -> u64 {
    let before = told.split(&format!(" {word}")).next().unwrap();
    before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn every_promise_holds_while_everything_is_broken_at_random() {
    let (is_well, told) = chaos(&["--seed", "11", "--minutes", "0.13", "--workers", "3"]);
    assert!(is_well, "{told}");
    assert!(number(&told, "faults") > 5 && number(&told, "invocations") > 100, "{told}");
}

#[test]
fn what_is_retained_for_seconds_is_gone_when_they_are_over() {
    let (_, told) = chaos(&["--soak", "--seed", "11", "--minutes", "0.1", "--workers", "1", "--clients", "1"]);
    let left = number(&told, "when all was forgotten");
    assert!(number(&told, "bodies") > 100 && left <= number(&told, "keys before") + 30, "{told}");
}
