//! Tests of a SQLite file: the command `db`, and the commands of several processes on one file.

use crate::program::Program;

#[test]
fn a_worker_runs_the_calls_of_other_processes_and_a_restart_keeps_their_results() {
    let program = Program::on_sqlite();
    let call = program.json(&["call", "add", "--args", r#"{"x": 40, "y": 2}"#]);
    let id = call["invocation"].as_str().expect("the id is printed").to_owned();
    let worker = program.start(&["worker"]);
    let ran = program.run(&["call", "add", "--args", r#"{"x": 1, "y": 2}"#, "--wait"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "3\n"), "{ran:?}");
    drop(worker);
    assert_eq!(program.json(&["show", &id])["invocation"]["status"], "success");
}

#[test]
fn a_backup_is_an_app_with_the_same_invocations() {
    let program = Program::on_sqlite();
    program.json(&["call", "add", "--args", r#"{"x": 1, "y": 2}"#]);
    let ran = program.run(&["db", "backup", "copy.db"]);
    assert!(ran.code == Some(0) && ran.out.contains("copy.db"), "{ran:?}");
    program.run(&["db", "backup", "copy.db"]).check(1, "exists already");
    let invocations = program.json(&["invocations", "--set", "sqlite.path=copy.db"]);
    assert_eq!(invocations.as_array().expect("a list is printed").len(), 1);
}

#[test]
fn a_file_is_checked_and_compacted() {
    let program = Program::on_sqlite();
    program.run(&["db", "check"]).check(3, "doesn't exist");
    program.json(&["call", "add", "--args", r#"{"x": 1, "y": 2}"#]);
    let ran = program.run(&["db", "check"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "no problem was found\n"));
    assert!(program.json(&["db", "vacuum"])["bytes_after"].as_u64() > Some(0));
    program.with_garbage("jobs.db").run(&["db", "check"]).check(3, "isn't a SQLite database");
}

#[test]
fn a_check_warns_of_commits_that_a_power_failure_may_lose() {
    let program = Program::on_sqlite();
    let ran = program.run(&["check"]);
    assert!(ran.code == Some(0) && ran.out.contains("keeps acknowledged writes"), "{ran:?}");
    let ran = program.run(&["check", "--strict", "--set", "sqlite.synchronous=normal"]);
    assert!(ran.code == Some(1) && ran.out.contains("sqlite.synchronous"), "{ran:?}");
}
