//! Tests of the program's output.

use std::process::Command;

#[test]
fn the_program_goes_on_with_the_file_of_an_earlier_run() {
    let folder = tempfile::tempdir().expect("a temporary folder can be created");
    for _ in 0..2 {
        let mut program = Command::new(env!("CARGO_BIN_EXE_own-transaction"));
        let output = program.arg(folder.path().join("shop.db")).output().expect("the program starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(text, "order 7 is on its way\n", "{}", String::from_utf8_lossy(&output.stderr));
    }
}
