//! Tests of the program's output, and of its tasks in virtual time.

use std::process::Command;

use pynenc::prelude::*;
use pynenc::testing::TestApp;
use quickstart::{divide, forecast, remind};

#[test]
fn the_program_prints_the_result_of_each_call() {
    let output = Command::new(env!("CARGO_BIN_EXE_quickstart")).output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let expected = include_str!("../output.txt");
    let without_seconds = |text: &str| text.rsplit_once("after").map(|(before, _)| before.to_owned());
    assert_eq!(without_seconds(&text), without_seconds(expected));
}

#[tokio::test]
async fn a_failed_task_without_retries_runs_once() -> Result<()> {
    let app = TestApp::new().await?;
    let Err(Error::TaskFailed(error)) = app.submit(divide(7, 0)).await?.result().await else {
        panic!("a division by zero fails")
    };
    assert_eq!((error.kind.as_str(), error.attempt), ("DivisionByZero", 1));
    assert_eq!(app.submit(divide(7, 2)).await?.result().await?, 3);
    Ok(())
}

#[tokio::test]
async fn a_retry_waits_for_its_back_off() -> Result<()> {
    let app = TestApp::new().await?;
    let invocation = app.submit(forecast("Oslo".to_owned())).await?;
    app.advance(millis(150)).await;
    assert_eq!(invocation.status().await?, Status::Retry);
    app.advance(millis(100)).await;
    assert_eq!(invocation.status().await?, Status::Success);
    Ok(())
}

#[tokio::test]
async fn a_delayed_call_waits() -> Result<()> {
    let app = TestApp::new().await?;
    let invocation = app.submit(remind("milk".to_owned()).delay(secs(60))).await?;
    app.advance(secs(59)).await;
    assert_eq!(invocation.status().await?, Status::Scheduled);
    app.advance(secs(1)).await;
    assert_eq!(invocation.status().await?, Status::Success);
    Ok(())
}
