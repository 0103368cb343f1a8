//! Asking for the end of what waits, runs, or has ended.

use std::sync::atomic::{AtomicBool, Ordering};

use pynenc::prelude::*;
use pynenc::testing::TestApp;
use tokio::sync::Notify;

#[derive(Default)]
struct Stage {
    entered: Notify,
    was_told: AtomicBool,
}

#[task]
async fn waits_for_ever(#[inject] stage: State<Stage>) {
    struct Dropped(State<Stage>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.was_told.store(true, Ordering::Relaxed);
        }
    }
    let _dropped = Dropped(stage.clone());
    stage.entered.notify_one();
    std::future::pending::<()>().await;
}

#[task]
fn looks_now_and_then(#[inject] stage: State<Stage>, #[inject] context: TaskContext) -> Result<(), String> {
    stage.entered.notify_one();
    while !context.is_cancelled() {
        std::thread::yield_now();
    }
    stage.was_told.store(true, Ordering::Relaxed);
    Err("ended early".into())
}

#[task(max_retries = 5)]
async fn retries_for_long() -> Result<(), String> {
    Err("again".into())
}

#[task]
async fn parent_of_a_cancelled_child(#[inject] context: TaskContext) -> Result<String> {
    let child = context.submit(waits_for_ever()).await?;
    context.engine().cancel(child.id()).await?;
    Ok(match child.result().await {
        Err(Error::Cancelled(_)) => "the child was cancelled".into(),
        other => format!("{other:?}"),
    })
}

async fn app() -> TestApp {
    TestApp::with(|builder| builder.without_linked_tasks().tasks(all_tasks()).state(Stage::default())).await.unwrap()
}

fn all_tasks() -> Vec<&'static pynenc::engine::TaskDefinition> {
    tasks![waits_for_ever, looks_now_and_then, retries_for_long, parent_of_a_cancelled_child].into()
}

#[tokio::test]
async fn what_waits_is_cancelled_at_once() {
    let app = app().await;
    let waiting = app.submit(waits_for_ever().delay(hours(1))).await.unwrap();
    assert!(waiting.cancel().await.unwrap());
    assert!(matches!(waiting.result().await, Err(Error::Cancelled(_))));
    app.advance(hours(2)).await;
    assert_eq!(waiting.history().await.unwrap().len(), 2, "it never ran");
}

#[tokio::test]
async fn a_running_async_body_is_dropped() {
    let app = app().await;
    let running = app.submit(waits_for_ever()).await.unwrap();
    app.run_until_idle().await;
    assert_eq!(running.status().await.unwrap(), Status::Running);
    assert!(!running.cancel().await.unwrap(), "it is told, and ends by itself");
    app.run_until_idle().await;
    assert_eq!(running.status().await.unwrap(), Status::Cancelled);
    assert!(running.cancel().await.unwrap(), "it has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_plain_body_sees_it() {
    let builder =
        Pynenc::builder().without_config_file().environment([]).memory().without_linked_tasks().tasks(all_tasks());
    let app = builder.state(Stage::default()).build().await.unwrap();
    let runner = app.start_runner().await.unwrap();
    let running = app.submit(looks_now_and_then()).await.unwrap();
    while running.status().await.unwrap() != Status::Running {
        tokio::task::yield_now().await;
    }
    running.cancel().await.unwrap();
    assert!(matches!(running.result().await, Err(Error::Cancelled(_))));
    runner.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_waits_for_its_retry_is_cancelled_at_once() {
    let app = app().await;
    let retrying = app.submit(retries_for_long()).await.unwrap();
    app.run_until_idle().await;
    assert_eq!(retrying.status().await.unwrap(), Status::Retry);
    assert!(retrying.cancel().await.unwrap());
    assert!(matches!(retrying.result().await, Err(Error::Cancelled(_))));
}

#[tokio::test]
async fn a_parent_is_told_of_the_end_of_its_child() {
    let value = app().await.submit(parent_of_a_cancelled_child()).await.unwrap().result().await.unwrap();
    assert_eq!(value, "the child was cancelled");
}
