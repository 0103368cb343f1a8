//! Asking for the end of what waits, runs, or has ended.

use std::sync::atomic::{AtomicBool, Ordering};

use pynenc::prelude::*;

use crate::place::{App, Place, on_both};

#[derive(Default)]
struct Stage {
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
    std::future::pending::<()>().await;
}

#[task]
fn looks_now_and_then(#[inject] stage: State<Stage>, #[inject] context: TaskContext) -> Result<(), String> {
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

async fn app(place: Place) -> App {
    place.app(|builder| builder.without_linked_tasks().tasks(all_tasks()).state(Stage::default())).await
}

#[task]
async fn was_told(#[inject] stage: State<Stage>) -> bool {
    stage.was_told.load(Ordering::Relaxed)
}

fn all_tasks() -> Vec<&'static pynenc::engine::TaskDefinition> {
    tasks![was_told, waits_for_ever, looks_now_and_then, retries_for_long, parent_of_a_cancelled_child].into()
}

on_both![
    what_waits_is_cancelled_at_once,
    a_running_async_body_is_dropped,
    a_running_plain_body_sees_it,
    what_waits_for_its_retry_is_cancelled_at_once,
    a_parent_is_told_of_the_end_of_its_child,
    what_is_cancelled_leaves_no_hint_behind,
];

async fn what_waits_is_cancelled_at_once(place: Place) {
    let app = app(place).await;
    let waiting = app.submit(waits_for_ever().delay(millis(200))).await.unwrap();
    assert!(waiting.cancel().await.unwrap());
    assert!(matches!(waiting.result().await, Err(Error::Cancelled(_))));
    tokio::time::sleep(millis(400)).await;
    assert_eq!(waiting.history().await.unwrap().len(), 2, "it never ran");
}

async fn a_running_async_body_is_dropped(place: Place) {
    let app = app(place).await;
    let running = app.submit(waits_for_ever()).await.unwrap();
    app.reaches(&running, Status::Running).await;
    assert!(!running.cancel().await.unwrap(), "it is told, and ends by itself");
    app.reaches(&running, Status::Cancelled).await;
    assert!(app.submit(was_told()).await.unwrap().result().await.unwrap());
    assert!(running.cancel().await.unwrap(), "it has ended");
}

async fn a_running_plain_body_sees_it(place: Place) {
    let app = app(place).await;
    let running = app.submit(looks_now_and_then()).await.unwrap();
    app.reaches(&running, Status::Running).await;
    running.cancel().await.unwrap();
    assert!(matches!(running.result().await, Err(Error::Cancelled(_))));
    assert!(app.submit(was_told()).await.unwrap().result().await.unwrap());
}

async fn what_waits_for_its_retry_is_cancelled_at_once(place: Place) {
    let app = app(place).await;
    let retrying = app.submit(retries_for_long()).await.unwrap();
    app.reaches(&retrying, Status::Retry).await;
    assert!(retrying.cancel().await.unwrap());
    assert!(matches!(retrying.result().await, Err(Error::Cancelled(_))));
}

async fn a_parent_is_told_of_the_end_of_its_child(place: Place) {
    let value = app(place).await.submit(parent_of_a_cancelled_child()).await.unwrap().result().await.unwrap();
    assert_eq!(value, "the child was cancelled");
}

async fn what_is_cancelled_leaves_no_hint_behind(place: Place) {
    let app =
        place.client(|builder| builder.without_linked_tasks().tasks(tasks![was_told]).state(Stage::default())).await;
    let ready = app.submit(was_told()).await.unwrap();
    let delayed = app.submit(was_told().delay(hours(24 * 365))).await.unwrap();
    let hints = async || app.parts().broker.len(&"default".into()).await.unwrap();
    let len = hints().await;
    assert_eq!((len.ready, len.delayed), (1, 1));
    app.cancel_all(&[ready.id(), delayed.id()]).await.unwrap().into_iter().for_each(|it| assert!(it.unwrap()));
    let len = hints().await;
    assert_eq!((len.ready, len.delayed), (0, 0), "a hint would be there until its time comes");
}
