//! Tests of `top`.

use pynenc_testkit::{RedisServer, signal};
use serde_json::json;

use crate::program::Program;
use crate::terminal::Terminal;

/// The words of the first line of a screen that contains a text.
fn words<'a>(screen: &'a str, part: &str) -> Vec<&'a str> {
    screen.lines().find(|line| line.contains(part)).unwrap_or_default().split_whitespace().collect()
}

#[test]
fn the_live_view_shows_a_worker_and_restores_the_terminal() {
    let program = Program::on_sqlite();
    let mut worker = program.start(&["worker", "--concurrency", "3", "--queues", "default,gpu"]);
    worker.wait_for_stdout("::stays");
    program.run(&["call", "fails", "--args", r#"{"why": "no paper"}"#, "--wait"]).check(6, "no paper");
    program.json(&["call", "add", "--args", r#"{"x": 1, "y": 2}"#, "--delay", "1h"]);
    program.json(&["call", "stays"]);
    let terminal = Terminal::start(&program);
    terminal.type_line("$PROGRAM top --interval 100ms");
    // The running invocation needs a moment to start.
    let screen = terminal.wait_for("the worker", |screen| screen.contains(" 1/3 ") && screen.contains("submitted"));
    assert_eq!(words(&screen, "default  "), ["default", "1", "0", "1", "0", "1"], "{screen}");
    assert_eq!(words(&screen, "gpu  "), ["gpu", "0", "0", "0", "0", "0"], "{screen}");
    let runner = words(&screen, "alive");
    let process = worker.id().to_string();
    assert!(runner.contains(&"process") && runner.contains(&&*process), "{screen}");
    assert_eq!(words(&screen, "::fails")[1..4], ["1", "1", "1"], "{screen}");
    assert!(screen.contains("failed 1  ") || screen.contains("failed 1\n"), "{screen}");

    terminal.resize(100, 30);
    terminal.wait_for("100 columns", |screen| screen.lines().any(|line| line.chars().count() == 100));
    terminal.resize(72, 10);
    terminal.wait_for("one table", |screen| screen.contains("queues (2)") && !screen.contains("runners ("));
    terminal.press("Tab");
    terminal.wait_for("the next table", |screen| screen.contains("runners (1)") && screen.contains(&process));
    terminal.press("q");
    terminal.check_restored(0);
}

#[test]
fn a_signal_ends_the_live_view_and_restores_the_terminal() {
    let program = Program::on_sqlite();
    let terminal = Terminal::start(&program);
    for name in ["TERM", "INT"] {
        terminal.type_line("clear; sh -c 'echo $$ >pid; exec $PROGRAM top'");
        terminal.wait_for("the view", |screen| screen.contains("runners (0)"));
        let process = std::fs::read_to_string(program.folder().join("pid")).unwrap();
        signal(process.trim().parse().unwrap(), name);
        terminal.check_restored(0);
    }
}

#[test]
fn the_live_view_goes_on_when_the_store_is_back() {
    let mut server = RedisServer::start();
    let program = Program::on_redis().with("PYNENC__REDIS__REDIS_URL", &server.url());
    let terminal = Terminal::start(&program);
    terminal.type_line("$PROGRAM top --interval 100ms");
    terminal.wait_for("a reading", |screen| screen.contains("runners (0)"));
    server.kill9();
    terminal.wait_for("the error", |screen| screen.contains("can't read the stores, trying again"));
    server.restart();
    program.json(&["call", "stays"]);
    terminal.wait_for("the next reading", |screen| {
        !screen.contains("can't read") && words(screen, "default ").get(1) == Some(&"1")
    });
    terminal.press("C-c");
    terminal.check_restored(0);
}

#[test]
fn one_reading_is_printed_where_nobody_looks() {
    let program = Program::on_redis();
    let _worker = program.start(&["worker", "--concurrency", "3"]);
    program.run(&["call", "fails", "--args", r#"{"why": "no ink"}"#, "--wait"]).check(6, "no ink");
    let reading = program.json(&["top"]);
    assert_eq!(
        (&reading["slots"], &reading["slots_used"], &reading["statuses"]["failed"]),
        (&json!(3), &json!(0), &json!(1))
    );
    assert_eq!(reading["queues"][0]["queue"], "default");
    assert_eq!((&reading["runners"][0]["state"], &reading["runners"][0]["slots_used"]), (&json!("alive"), &json!(0)));
    let task = &reading["tasks"][0];
    assert_eq!((&task["failed"], &task["retries"], &task["finished"]), (&json!(1), &json!(1), &json!(1)));
    assert!(task["longest_ms"].is_u64(), "{reading}");
    let text = program.run(&["top"]).out;
    assert!(text.contains("QUEUE ") && text.contains("RUNNER ") && text.contains("::fails"), "{text}");
    assert!(!text.contains('\u{1b}'), "no codes for a terminal: {text}");
    program.run(&["top", "--interval", "1ms"]).check(2, "at least 100ms");
}
