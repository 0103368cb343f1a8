//! Runs the two programs as a user does.

#![cfg(unix)]

use std::process::Command;

use pynenc::prelude::*;
use pynenc_testkit::{RedisServer, TestProcess};
use redis_workers::{add, count_all_words};

#[test]
fn a_producer_reads_the_results_of_workers() {
    let server = RedisServer::start();
    let port = server.port().to_string();
    let program = |path: &str| {
        let mut command = Command::new(path);
        command.env("PYNENC__REDIS__REDIS_PORT", &port);
        command
    };
    let mut worker = TestProcess::start(program(env!("CARGO_BIN_EXE_worker")).arg("worker"));
    let output = program(env!("CARGO_BIN_EXE_producer")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for part in
        ["2 + 3 = 5, computed by process", "200 sums came from", "15 words, after these steps", "paused", "success"]
    {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
    let listed = program(env!("CARGO_BIN_EXE_worker")).args(["invocations", "--status", "success"]).output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("redis_workers::count_all_words"));
    worker.signal("TERM");
    assert!(worker.wait().unwrap().success());
}

/// Builds the app with these environment variables. No server listens at the port that the tests set.
async fn with_variables(variables: &[(&str, &str)]) -> Result<Pynenc> {
    let variables = variables.iter().map(|(key, value)| (format!("PYNENC__{key}"), (*value).to_owned()));
    redis_workers::app().environment(variables).build().await
}

async fn check_sum_and_word_count(app: &Pynenc) -> Result<()> {
    let (sum, _) = app.submit(add(1, 2)).await?.result().await?;
    let texts = vec!["one two".to_owned(), "three".to_owned()];
    let words = app.submit(count_all_words(texts)).await?.result().await?;
    assert_eq!((sum, words), (3, 3));
    Ok(())
}

#[tokio::test]
async fn a_variable_makes_the_app_synchronous() {
    let app = with_variables(&[("DEV_MODE_FORCE_SYNC_TASKS", "true"), ("REDIS__REDIS_PORT", "1")]).await.unwrap();
    check_sum_and_word_count(&app).await.unwrap();
}

#[tokio::test]
async fn variables_move_the_app_into_memory() {
    let variables = [
        ("DEV_MODE_FORCE_SYNC_TASKS", "false"),
        ("ORCHESTRATOR_CLS", "MemOrchestrator"),
        ("BROKER_CLS", "MemBroker"),
        ("STATE_BACKEND_CLS", "MemStateBackend"),
        ("TRIGGER_STORE_CLS", "MemTriggerStore"),
        ("RUNNER_CLS", "ThreadRunner"),
        ("REDIS__REDIS_PORT", "1"),
    ];
    let app = with_variables(&variables).await.unwrap();
    let runner = app.start_runner().await.unwrap();
    check_sum_and_word_count(&app).await.unwrap();
    runner.shutdown().await.unwrap();
}
