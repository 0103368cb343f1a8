//! Runs the program as a user does.

#![cfg(unix)]

use std::process::Command;

#[test]
fn every_loaf_is_finished_once() {
    let output = Command::new(env!("CARGO_BIN_EXE_crash-recovery")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.matches("finished 1 times").count(), 6, "{text}");
    assert_eq!(text.matches("lost 1 times").count(), 3, "{text}");
    assert!(text.contains("owner_lost"), "{text}");
}
