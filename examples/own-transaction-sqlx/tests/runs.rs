//! Tests of the program's output.

use std::process::Command;

#[test]
fn a_call_is_rolled_back_or_committed_with_its_order() {
    let folder = tempfile::tempdir().expect("a temporary folder can be created");
    let mut program = Command::new(env!("CARGO_BIN_EXE_own-transaction-sqlx"));
    let output = program.arg(folder.path().join("shop.db")).output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let expected = "order 7 is rolled back. Orders: 0, waiting calls: 0\n\
                    order 8 is committed. Orders: 1, waiting calls: 1\n\
                    order 8 is on its way\n";
    assert_eq!(text, expected, "{}", String::from_utf8_lossy(&output.stderr));
}
