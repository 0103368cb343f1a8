//! Runs the program as a user does: each kind of trigger fires, and records the cause.

use std::process::Command;

#[test]
fn every_kind_of_trigger_fires_and_records_its_cause() {
    let output = Command::new(env!("CARGO_BIN_EXE_triggers")).output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let count = |line: &str| text.lines().filter(|found| *found == line).count();
    let expected = [
        ("notify: order-1 needs an approval", 1),
        ("notify: order-2 has no amount", 1),
        ("notify: ana is an admin", 1),
        ("notify: order-1 goes out as parcel-7", 1),
        ("notify: stop: true, night: false", 1),
        ("charge: order-1", 1),
        ("count_order", 2),
    ];
    for (line, times) in expected {
        assert_eq!(count(line), times, "{line}\n{text}");
    }
    assert!((1..=3).contains(&count("each_second")), "{text}");
    let is_printed = |start: &str| text.lines().any(|line| line.starts_with(start));
    let causes = [
        "fired: notify by success of process_order ",
        "fired: charge by success of process_order ",
        "fired: notify by failed of process_order ",
        "fired: count_order by failed of process_order ",
        "fired: each_second by slot ",
        "fired: notify by success of charge ",
    ];
    assert!(causes.into_iter().all(is_printed), "{text}");
    let events = ["user.login", "stop"].map(|name| format!(" {name}"));
    assert!(
        events
            .iter()
            .all(|name| text.lines().any(|line| line.starts_with("fired: notify by event ") && line.ends_with(name))),
        "{text}"
    );
}
