//! Tests of the program with its invocations in a file: it is killed, and run again.

#![cfg(all(unix, feature = "sqlite"))]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use pynenc::prelude::*;

/// The output of the program in memory.
const OUTPUT: &str = include_str!("../output.txt");
/// The note of the program on an invocation that exists already.
const EARLIER: &str = " (submitted by an earlier run)";

fn program(file: &Path) -> Child {
    let mut program = Command::new(env!("CARGO_BIN_EXE_quickstart"));
    program.arg("--store").arg(file).stdout(Stdio::piped()).spawn().expect("the program starts")
}

/// Runs the program until it has printed a number of lines, and kills it.
fn killed_after(lines: usize, file: &Path) {
    let mut program = program(file);
    let printed = BufReader::new(program.stdout.take().expect("the output is piped")).lines().take(lines).count();
    assert_eq!(printed, lines);
    program.kill().expect("the program can be killed");
    program.wait().expect("the program ends");
}

/// Runs the program to its end, and returns its output.
fn completed(file: &Path) -> String {
    let (mut program, mut text) = (program(file), String::new());
    program.stdout.take().expect("the output is piped").read_to_string(&mut text).expect("the output is text");
    assert!(program.wait().expect("the program ends").success(), "{text}");
    text
}

/// Checks that each call of the program has one invocation, and that it has finished.
async fn each_call_finished_once(file: &Path) -> Result<()> {
    let app = Pynenc::builder().without_config_file().sqlite(file).build().await?;
    let (mut succeeded, mut failed) = (0, 0);
    for status in Status::ALL.iter().copied() {
        match (status, app.count(status).await?) {
            (Status::Success, count) => succeeded = count,
            (Status::Failed, count) => failed = count,
            (_, count) => assert_eq!(count, 0, "{status}"),
        }
    }
    assert_eq!((succeeded, failed), (1 + 8 + 1 + 1, 1));
    Ok(())
}

fn results(text: &str) -> Vec<String> {
    // The history depends on the time of the kill, and so does the status of the delayed call.
    let is_result = |line: &&str| !line.starts_with("      ") && !line.starts_with("a delay");
    text.lines().filter(is_result).map(|line| line.replace(EARLIER, "")).collect()
}

/// Kills the program, runs it again, and checks the results.
async fn check(killed_after_lines: usize) -> Result<String> {
    let folder = tempfile::tempdir().expect("a temporary folder can be created");
    let file = folder.path().join("jobs.db");
    killed_after(killed_after_lines, &file);
    let text = completed(&file);
    assert_eq!(results(&text), results(OUTPUT));
    assert!(text.contains("remember the milk"), "{text}");
    each_call_finished_once(&file).await?;
    Ok(text)
}

#[tokio::test]
async fn a_program_that_is_killed_at_its_start_runs_all_parts_later() -> Result<()> {
    check(0).await.map(drop)
}

#[tokio::test]
async fn a_program_that_is_killed_after_its_first_part_goes_on_with_the_second() -> Result<()> {
    let text = check(1).await?;
    assert!(text.starts_with("one call") && text.lines().next().is_some_and(|line| line.ends_with(EARLIER)), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_program_that_is_killed_during_retries_goes_on_with_them() -> Result<()> {
    check(3).await.map(drop)
}

#[tokio::test]
async fn a_program_that_is_killed_before_its_last_part_repeats_no_finished_part() -> Result<()> {
    // The last line is missing: the delayed call waits.
    let text = check(OUTPUT.lines().count() - 1).await?;
    let topics = ["one call", "a batch", "a typed error", "a retry"];
    for line in text.lines().filter(|line| topics.iter().any(|topic| line.starts_with(topic))) {
        assert!(line.ends_with(EARLIER), "{line}");
    }
    // The history of the retried call has no further attempts.
    let history = |text: &str| text.lines().filter(|line| line.starts_with("                 ")).count();
    assert_eq!(history(&text), history(OUTPUT), "{text}");
    Ok(())
}

#[test]
fn an_unknown_argument_is_a_usage_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_quickstart")).arg("--shop").output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("unknown argument `--shop`") && text.contains("[--store FILE]"), "{text}");
}
