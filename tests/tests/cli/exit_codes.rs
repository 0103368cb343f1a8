//! Tests of exit codes and error messages.

use crate::program::Program;

#[test]
fn a_result_is_printed_and_a_failure_has_its_exit_code() {
    let program = Program::in_memory();
    let ran = program.run(&["call", "add", "--args", r#"{"x": 40, "y": 2}"#, "--wait"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "42\n"));
    let failed = program.run(&["call", "fails", "--args", r#"{"why": "no paper"}"#, "--wait"]);
    failed.check(6, "no paper");
    program.run(&["call", "stays", "--wait", "--timeout", "50ms"]).check(1, "no result within");
    program.run(&["call", "add", "--args", r#"{"x": 1, "y": 2}"#]).check(1, "--wait");
}

#[test]
fn wrong_arguments_are_explained() {
    let program = Program::in_memory();
    program.run(&["dance"]).check(2, "unrecognized subcommand");
    program.run(&["why", "x"]).check(2, "not an invocation id");
    program.run(&["invocations", "--status", "lost"]).check(2, "registered, scheduled");
    program.run(&["call", "subtract"]).check(5, "unknown task `subtract`");
    program.run(&["call", "add", "--args", "[1, 2]"]).check(1, "JSON object");
    program.run(&["show", &pynenc::InvocationId::new().to_string()]).check(5, "there is no invocation");
    let help = program.run(&["--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.out.contains("Exit codes") && help.out.contains("Usage: cli-app"), "{help:?}");
}

#[test]
fn wrong_settings_have_their_exit_code() {
    let program = Program::in_memory();
    program.run(&["queues", "--set", "runner.concurency=1"]).check(3, "concurrency");
    program.run(&["config", "--set", "runer.concurrency=1"]).check(3, "runner");
    program.run(&["worker", "--concurrency", "0"]).check(3, "runner.concurrency");
    program.run(&["queues", "--config", "nowhere.toml"]).check(3, "nowhere.toml");
}

#[test]
fn a_check_reports_how_to_fix_each_problem() {
    let findings = |program: &Program, arguments: &[&str]| {
        let ran = program.run(&[&["check"], arguments].concat());
        (ran.code.unwrap(), ran.out)
    };
    let (code, output) = findings(&Program::in_memory(), &[]);
    assert!(code == 0 && output.contains("in the memory of one process") && output.contains("are linked"), "{output}");
    assert!(output.contains("::reports@") && output.contains("on day 13 of the month or on Friday"), "{output}");
    assert!(
        output.contains("Call `.either_day()` or `.both_days()`") && output.contains("Write `0 0 13 * FRI`"),
        "{output}"
    );
    let (code, output) = findings(&Program::in_memory(), &["--strict"]);
    assert_eq!(code, 1, "{output}");
    let (code, output) = findings(&Program::in_memory().with("PYNENC__RUNNER__LEASE", "1s"), &[]);
    assert!(code == 3 && output.contains("error") && output.contains("`runner.lease`"), "{output}");
    let closed = Program::on_redis().with("PYNENC__REDIS__REDIS_URL", "redis://127.0.0.1:1");
    let (code, output) = findings(&closed.with("PYNENC__REDIS__CONNECT_TIMEOUT", "200ms"), &[]);
    assert!(code == 4 && output.contains("start the server"), "{output}");
    let program = Program::on_redis();
    program.json(&["call", "add", "--args", r#"{"x": 1, "y": 2}"#]);
    let (code, output) = findings(&program, &[]);
    assert!(code == 0 && output.contains("1 waiting in `default`") && output.contains("reached in"), "{output}");
}
