//! The program, as a user starts it.

#![cfg(unix)]

use std::process::Command;

#[test]
fn every_loaf_is_baked_and_ends_once() {
    let output = Command::new(env!("CARGO_BIN_EXE_crash-recovery")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.matches("ended 1 times").count(), 6, "{text}");
    assert_eq!(text.matches("lost 1 times").count(), 3, "{text}");
    assert!(text.contains("owner_lost"), "{text}");
}
