//! Tests of the logs.

use serde_json::{Value, json};

use crate::program::Program;

fn lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn log_lines_of_a_task_carry_its_invocation() {
    let program = Program::on_redis().with("PYNENC__LOGGING__FORMAT", "json").with("PYNENC__LOGGING__LEVEL", "debug");
    let mut worker = program.start(&["worker"]);
    let id = program.json(&["call", "add", "--args", r#"{"x": 1, "y": 2}"#, "--wait"])["invocation"].clone();
    let logged = lines(&worker.wait_for_stderr("\"succeeded\""));
    let about = |message: &str| {
        let found = logged.iter().find(|line| line["message"] == message && line["span"]["invocation"] == id);
        found.unwrap_or_else(|| panic!("{message}: {logged:#?}")).clone()
    };
    let said = about("adding");
    assert_eq!((&said["x"], &said["level"]), (&json!(1), &json!("INFO")));
    assert_eq!((&said["span"]["attempt"], &said["span"]["name"]), (&json!(1), &json!("attempt")));
    assert!(said["span"]["task"].as_str().unwrap().ends_with("::add") && said["span"]["runner"].is_string(), "{said}");
    assert_eq!(about("started")["arguments"], "x=1, y=2");
    assert_eq!(about("succeeded")["reason"], "returned");
}

#[test]
fn failures_and_retries_are_logged_at_their_levels() {
    let program = Program::on_redis().with("PYNENC__LOGGING__FORMAT", "json");
    let mut worker = program.start(&["worker"]);
    let ran = program.run(&["call", "fails", "--args", r#"{"why": "no paper"}"#, "--wait"]);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    let logged = lines(&worker.wait_for_stderr("\"failed\""));
    let attempts: Vec<_> = logged
        .iter()
        .filter(|line| line["error"].as_str().is_some_and(|error| error.contains("no paper")))
        .map(|line| (line["level"].clone(), line["message"].clone(), line["span"]["attempt"].clone()))
        .collect();
    let expected = [(json!("INFO"), json!("will be retried"), json!(1)), (json!("WARN"), json!("failed"), json!(2))];
    assert_eq!(attempts, expected);
    assert!(logged.iter().all(|line| line["level"] != "DEBUG"), "the configured level applies");
}

#[test]
fn arguments_are_logged_as_configured() {
    for (mode, expected) in
        [("full", r#"why="a secret story""#), ("names", "why"), ("truncated", r#"why="a secr…"#), ("hidden", "")]
    {
        let program = Program::on_redis()
            .with("PYNENC__LOGGING__FORMAT", "json")
            .with("PYNENC__LOGGING__LEVEL", "debug")
            .with("PYNENC__LOGGING__ARGUMENTS", mode)
            .with("PYNENC__LOGGING__ARGUMENT_LENGTH", "7");
        let mut worker = program.start(&["worker"]);
        program.json(&["call", "fails", "--args", r#"{"why": "a secret story"}"#]);
        let logged = lines(&worker.wait_for_stderr("\"started\""));
        let started = logged.iter().find(|line| line["message"] == "started").unwrap();
        assert_eq!(started["arguments"], expected, "{mode}");
    }
}

#[test]
fn text_lines_have_the_same_fields() {
    let program = Program::on_redis();
    let mut worker = program.start(&["worker"]);
    let id = program.json(&["call", "add", "--args", r#"{"x": 1, "y": 2}"#, "--wait"])["invocation"].clone();
    let logged = worker.wait_for_stderr("adding");
    let line = logged.lines().find(|line| line.contains("adding")).unwrap();
    assert!(line.contains(id.as_str().unwrap()) && line.contains("attempt=1") && line.contains("x=1"), "{line}");
    assert!(!logged.contains('\u{1b}'), "a file has no colors");
}
