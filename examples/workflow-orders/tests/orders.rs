//! What was done before a failure is done once, and a payment that was declined is compensated.

use std::process::Command;

#[test]
fn nothing_is_paid_twice_and_a_declined_payment_is_compensated() {
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
        ("the order is shipped. Recorded:", 2),
        ("the order is compensated. Recorded:", 1),
        ("3 execute pay gave 120", 2),
        ("2 execute reserve gave 120", 3),
        ("4 execute release gave null", 1),
    ];
    for (line, times) in expected {
        assert_eq!(count(line), times, "{line}\n{text}");
    }
    // The whole workflow is repeated once: it finds its payment declined, and asks nobody again.
    assert_eq!((count("process poor"), count("pay 120 for poor")), (2, 1), "{text}");
    assert!(text.contains("3 execute pay failed with") && text.contains("the card was declined"), "{text}");
    assert_eq!(text.lines().filter(|line| line.trim().starts_with("ship ")).count(), 2, "{text}");
}
