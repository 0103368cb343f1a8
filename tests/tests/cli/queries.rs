//! Tests of commands that query an app.

use serde_json::json;

use crate::program::Program;

fn submitted(program: &Program, task: &str, args: &str) -> String {
    program.json(&["call", task, "--args", args])["invocation"].as_str().unwrap().to_owned()
}

#[test]
fn invocations_are_listed_and_filtered() {
    let program = Program::on_redis();
    let first = submitted(&program, "add", r#"{"x": 1, "y": 2}"#);
    let second = submitted(&program, "fails", r#"{"why": "no paper"}"#);
    let listed = |arguments: &[&str]| -> Vec<String> {
        let listed = program.json(&[&["invocations"], arguments].concat());
        listed.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(&[]), [&*second, &first], "the newest invocation comes first");
    assert_eq!(listed(&["--oldest-first"]), [&*first, &second]);
    assert_eq!(listed(&["--limit", "1"]), [&*second]);
    assert_eq!(listed(&["--task", "add", "--since", "1h", "--status", "registered,failed"]), [&*first]);
    assert_eq!(listed(&["--since", "2999-01-01T00:00:00"]), Vec::<String>::new());
    assert_eq!(listed(&["--until", "1h"]), Vec::<String>::new());
    assert_eq!(listed(&["--since", "1h", "--until", "2999-01-01T00:00:00"]), [&*second, &first]);
    assert_eq!(listed(&["--active-since", "1h"]), [&*second, &first]);
    assert_eq!(listed(&["--active-since", "1h", "--active-until", "30m"]), Vec::<String>::new());
    assert_eq!(listed(&["--arg", "x=1", "--arg", "y=2"]), [&*first]);
    assert_eq!(listed(&["--arg", "x=1", "--arg", "y=3"]), Vec::<String>::new());
    assert_eq!(listed(&["--arg", "why=no paper"]), [&*second]);
    let table = program.run(&["invocations"]).out;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("ID ") && lines.len() == 3 && lines[1].starts_with(&second), "{table}");
    assert!(lines[2].contains("::add") && lines[2].contains("registered") && !table.contains('\u{1b}'), "{table}");
}

#[test]
fn an_invocation_is_shown_as_the_settings_allow() {
    let program = Program::on_redis().with("PYNENC__LOGGING__ARGUMENT_LENGTH", "5");
    let id = submitted(&program, "fails", r#"{"why": "a long story"}"#);
    let shown = program.json(&["show", &id]);
    assert_eq!(shown["arguments"], r#"why="a lo…"#);
    assert_eq!(
        (&shown["invocation"]["status"], &shown["history"][0]["reason"]),
        (&json!("registered"), &json!("submitted"))
    );
    assert_eq!(program.json(&["show", &id, "--full"])["arguments"], json!({"why": "a long story"}));
    let hidden = program.with("PYNENC__LOGGING__ARGUMENTS", "hidden");
    let output = hidden.run(&["show", &id]).out;
    assert!(output.contains("no runner is alive") && output.contains("REASON"), "{output}");
    assert!(!output.contains("story"), "{output}");
}

#[test]
fn an_invocation_is_named_by_a_part_of_its_id() {
    let program = Program::on_redis();
    let id = submitted(&program, "add", r#"{"x": 1, "y": 2}"#);
    let other = submitted(&program, "add", r#"{"x": 2, "y": 2}"#);
    for part in [&id[..30], &id[24..], &id.to_uppercase()[24..], &id.replace('-', "")[..28]] {
        assert_eq!(program.json(&["show", part])["invocation"]["id"], json!(id), "{part}");
        assert_eq!(program.json(&["why", part])["invocation"], json!(id), "{part}");
    }
    let both = program.run(&["show", &id[..4]]);
    both.check(1, "several ids begin or end with");
    assert!(both.err.contains(&id) && both.err.contains(&other), "{both:?}");
    program.run(&["show", "ffffffffffff"]).check(1, "no invocation's id begins or ends with `ffffffffffff`");
    program.run(&["show", "nobody"]).check(2, "hexadecimal digits");
    program.run(&["show", "abc"]).check(2, "at least 4 digits");
    assert_eq!(program.json(&["cancel", &id[24..]]), json!([{"invocation": id, "ended": true}]));
    assert_eq!(program.json(&["retry", &id[24..]])[0]["invocation"], json!(id));
}

#[test]
fn why_is_one_sentence() {
    let program = Program::on_redis();
    let id = submitted(&program, "add", r#"{"x": 1, "y": 2}"#);
    assert_eq!(program.run(&["why", &id]).out, "no runner is alive; start one with `worker`\n");
    assert_eq!(program.json(&["why", &id])["why"]["why"], "no_runner");
}

#[test]
fn queues_show_waiting_invocations_and_runners() {
    let program = Program::on_redis();
    assert_eq!(program.json(&["queues"]), json!([]));
    program.json(&["call", "add", "--args", r#"{"x": 1, "y": 2}"#]);
    program.json(&["call", "add", "--args", r#"{"x": 1, "y": 2}"#, "--delay", "1h", "--queue", "gpu"]);
    let expected = json!([
        {"queue": "default", "waiting": 1, "ready": 1, "delayed": 0, "runners": 0},
        {"queue": "gpu", "waiting": 1, "ready": 0, "delayed": 1, "runners": 0},
    ]);
    assert_eq!(program.json(&["queues"]), expected);
}

#[test]
fn settings_are_shown_with_their_source() {
    let program = Program::in_memory()
        .with_file("[runner]\nlease = \"20s\"\n[redis]\nredis_password = \"hunter2\"\n")
        .with("PYNENC__RUNNER__CONCURRENCY", "5");
    let ran = program.run(&["config", "--changed", "--set", "runner.queues=a,b"]);
    let line =
        |key: &str| ran.out.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key}: {ran:?}"));
    assert!(line("runner.lease ").contains("20s") && line("runner.lease ").contains("pynenc.toml"));
    assert!(line("runner.concurrency ").ends_with("PYNENC__RUNNER__CONCURRENCY"));
    assert!(line("runner.queues ").ends_with("command line"));
    assert!(line("redis.redis_password ").contains("***") && !ran.out.contains("hunter2"));
    assert!(!ran.out.contains("shutdown_grace"), "a default isn't a change");
}

#[test]
fn triggers_are_listed_and_events_reach_the_log() {
    let program = Program::on_redis();
    let emitted = program.json(&["events", "emit", "greeted", "--payload", r#"{"name": "ana"}"#, "--key", "7"]);
    assert_eq!(emitted, json!({"event": "greeted", "place": 1}));
    program.run(&["events", "emit", "greeted", "--payload", "{"]).check(1, "the payload isn't JSON");
    assert_eq!(program.run(&["triggers"]).out.lines().count(), 1, "no runner has registered the trigger yet");
    program.run(&["triggers", "pause", "nothing"]).check(1, "no such trigger");
}

#[test]
fn the_status_machine_is_drawn() {
    let program = Program::in_memory();
    assert!(program.run(&["status-machine"]).out.contains("pending                      -> running, rerouted"));
    assert!(program.run(&["status-machine", "--format", "mermaid"]).out.starts_with("stateDiagram-v2\n"));
    assert!(program.run(&["status-machine", "--format", "svg"]).out.trim_end().ends_with("</svg>"));
    assert_eq!(program.json(&["status-machine"]).as_array().unwrap().len(), pynenc::Status::ALL.len());
}

#[test]
fn completions_are_generated_for_each_shell() {
    let program = Program::in_memory();
    for (shell, part) in [("bash", "complete -F"), ("zsh", "#compdef cli-app"), ("fish", "complete -c cli-app")] {
        let completions = program.run(&["completions", shell]).out;
        assert!(completions.contains(part) && completions.contains("status-machine"), "{shell}");
    }
}
