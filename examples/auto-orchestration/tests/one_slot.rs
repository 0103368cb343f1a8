//! A runner with one slot completes nested calls.

use auto_orchestration::fibonacci;
use pynenc::prelude::*;
use pynenc::testing::TestApp;

#[tokio::test]
async fn one_slot_is_enough() -> Result<()> {
    let app = TestApp::with(|builder| builder.set("runner.concurrency", 1)).await?;
    let invocation = app.submit(fibonacci(15)).await?;
    assert_eq!(invocation.result().await?, 610);
    assert_eq!(app.count(Status::Success).await?, 1973, "each call has an invocation of its own");
    Ok(())
}

#[tokio::test]
async fn a_waiting_task_is_paused() -> Result<()> {
    let app = TestApp::with(|builder| builder.set("runner.concurrency", 1)).await?;
    let invocation = app.submit(fibonacci(2)).await?;
    invocation.result().await?;
    let statuses: Vec<_> = invocation.history().await?.into_iter().map(|line| line.status).collect();
    let [registered, pending, rest @ ..] = &statuses[..] else { panic!("{statuses:?}") };
    assert_eq!((*registered, *pending), (Status::Registered, Status::Pending));
    let expected = [Status::Running, Status::Paused, Status::Running, Status::Paused, Status::Running, Status::Success];
    assert_eq!(rest, expected);
    Ok(())
}
