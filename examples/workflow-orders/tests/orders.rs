//! Runs the program as a user does, and counts the steps of each order.

use std::process::Command;

#[test]
fn no_recorded_step_is_repeated_and_a_declined_payment_is_compensated() {
    let output = Command::new(env!("CARGO_BIN_EXE_workflow-orders")).output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let count = |line: &str| text.lines().filter(|found| found.trim() == line).count();
    let expected = [
        ("process lucky", 1),
        ("pay 120 for lucky", 1),
        ("process unlucky", 2),
        ("reserve unlucky", 1),
        ("pay 120 for unlucky", 1),
        ("release poor", 1),
        ("the order is shipped. Journal:", 2),
        ("the order is compensated. Journal:", 1),
        ("3 execute pay returned 120", 2),
        ("2 execute reserve returned 120", 3),
        ("4 execute release returned null", 1),
    ];
    for (line, times) in expected {
        assert_eq!(count(line), times, "{line}\n{text}");
    }
    // The retry of the workflow gets the declined payment from the journal, and doesn't pay again.
    assert_eq!((count("process poor"), count("pay 120 for poor")), (2, 1), "{text}");
    assert!(text.contains("3 execute pay failed with") && text.contains("the card was declined"), "{text}");
    assert_eq!(text.lines().filter(|line| line.trim().starts_with("ship ")).count(), 2, "{text}");
}
