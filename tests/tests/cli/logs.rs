//! What is logged.

use serde_json::{Value, json};

use crate::program::Program;

fn lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn what_a_body_says_carries_its_invocation() {
    let program = Program::on_redis().with("PYNENC__LOGGING__FORMAT", "json").with("PYNENC__LOGGING__LEVEL", "debug");
    let _worker = program.start(&["worker"]);
    let id = program.json(&["call", "add", "--args", r#"{"x": 1, "y": 2}"#, "--wait"])["invocation"].clone();
    let logged = lines(&program.until_written("err", "\"succeeded\""));
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
fn failures_and_retries_are_told_at_their_levels() {
    let program = Program::on_redis().with("PYNENC__LOGGING__FORMAT", "json");
    let _worker = program.start(&["worker"]);
    let ran = program.run(&["call", "fails", "--args", r#"{"why": "no paper"}"#, "--wait"]);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    let logged = lines(&program.until_written("err", "\"failed\""));
    let attempts: Vec<_> = logged
        .iter()
        .filter(|line| line["error"].as_str().is_some_and(|error| error.contains("no paper")))
        .map(|line| (line["level"].clone(), line["message"].clone(), line["span"]["attempt"].clone()))
        .collect();
    let expected = [(json!("INFO"), json!("will be retried"), json!(1)), (json!("WARN"), json!("failed"), json!(2))];
    assert_eq!(attempts, expected);
    assert!(logged.iter().all(|line| line["level"] != "DEBUG"), "the level is kept");
}

#[test]
fn arguments_are_told_as_the_settings_say() {
    for (mode, told) in
        [("full", r#"why="a secret story""#), ("names", "why"), ("truncated", r#"why="a secr…"#), ("hidden", "")]
    {
        let program = Program::on_redis()
            .with("PYNENC__LOGGING__FORMAT", "json")
            .with("PYNENC__LOGGING__LEVEL", "debug")
            .with("PYNENC__LOGGING__ARGUMENTS", mode)
            .with("PYNENC__LOGGING__ARGUMENT_LENGTH", "7");
        let _worker = program.start(&["worker"]);
        program.json(&["call", "fails", "--args", r#"{"why": "a secret story"}"#]);
        let logged = lines(&program.until_written("err", "\"started\""));
        let started = logged.iter().find(|line| line["message"] == "started").unwrap();
        assert_eq!(started["arguments"], told, "{mode}");
    }
}

#[test]
fn lines_for_people_have_the_same_in_them() {
    let program = Program::on_redis();
    let _worker = program.start(&["worker"]);
    let id = program.json(&["call", "add", "--args", r#"{"x": 1, "y": 2}"#, "--wait"])["invocation"].clone();
    let logged = program.until_written("err", "adding");
    let line = logged.lines().find(|line| line.contains("adding")).unwrap();
    assert!(line.contains(id.as_str().unwrap()) && line.contains("attempt=1") && line.contains("x=1"), "{line}");
    assert!(!logged.contains('\u{1b}'), "no colours in a file");
}
