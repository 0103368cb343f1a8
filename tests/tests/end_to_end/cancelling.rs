//! Asking for the end of what waits, runs, or has ended.

use std::sync::atomic::{AtomicBool, Ordering};

use pynenc::InvocationId;
use pynenc::prelude::*;

use crate::place::{App, Place, on_both};

#[derive(Default)]
struct Stage {
    has_begun: AtomicBool,
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
    stage.has_begun.store(true, Ordering::Relaxed);
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

/// Waits for one child, and has submitted another.
#[task]
async fn waits_for_a_child(#[inject] context: TaskContext) -> Result<()> {
    context.submit(waits_for_ever()).await?;
    waits_for_ever().await
}

#[task]
async fn waits_for_a_parent() -> Result<()> {
    waits_for_a_child().await
}

#[task]
async fn waits_for_a_group(#[inject] context: TaskContext, size: usize) -> Result<()> {
    context.submit_all((0..size).map(|_| waits_for_ever())).await?.results().await.map(drop)
}

async fn app(place: Place) -> App {
    place.app(|builder| builder.without_linked_tasks().tasks(all_tasks()).state(Stage::default())).await
}

#[task]
async fn has_begun(#[inject] stage: State<Stage>) -> bool {
    stage.has_begun.load(Ordering::Relaxed)
}

#[task]
async fn was_told(#[inject] stage: State<Stage>) -> bool {
    stage.was_told.load(Ordering::Relaxed)
}

fn all_tasks() -> Vec<&'static pynenc::engine::TaskDefinition> {
    tasks![
        has_begun,
        was_told,
        waits_for_ever,
        looks_now_and_then,
        retries_for_long,
        parent_of_a_cancelled_child,
        waits_for_a_child,
        waits_for_a_parent,
        waits_for_a_group
    ]
    .into()
}

on_both![
    what_waits_is_cancelled_at_once,
    a_running_async_body_is_dropped,
    a_running_plain_body_sees_it,
    what_waits_for_its_retry_is_cancelled_at_once,
    a_parent_is_told_of_the_end_of_its_child,
    what_is_cancelled_leaves_no_hint_behind,
    what_a_cancelled_body_waits_for_is_cancelled_with_it,
    a_cancel_of_only_this_leaves_its_children_alone,
    a_cancel_with_children_reaches_what_was_submitted,
    a_body_that_waits_for_many_has_all_of_them_cancelled,
    a_group_is_cancelled_in_batches,
];

/// The parent below `top`, the child that this parent waits for, and the child that it has only submitted.
async fn below(app: &App, top: &Invocation<waits_for_a_parent>) -> [InvocationId; 3] {
    let children = async |of: InvocationId, count: usize| loop {
        let children = app.parts().state.children(of).await.unwrap();
        if children.len() == count {
            return children;
        }
        tokio::time::sleep(millis(5)).await;
    };
    let parent = children(top.id(), 1).await[0];
    let both = children(parent, 2).await;
    app.reaches(top, Status::Paused).await;
    app.reaches(&app.invocation::<waits_for_a_child>(parent), Status::Paused).await;
    // In the order of the calls: the first is submitted, the other awaited.
    [parent, both[1], both[0]]
}

async fn what_a_cancelled_body_waits_for_is_cancelled_with_it(place: Place) {
    let app = app(place).await;
    let top = app.submit(waits_for_a_parent()).await.unwrap();
    let [parent, awaited, submitted] = below(&app, &top).await;
    top.cancel().await.unwrap();
    for id in [top.id(), parent, awaited] {
        app.reaches(&app.invocation::<waits_for_ever>(id), Status::Cancelled).await;
    }
    assert!(!app.status(submitted).await.unwrap().status.is_final(), "nobody waited for it");
    app.cancel(submitted).await.unwrap();
}

async fn a_cancel_of_only_this_leaves_its_children_alone(place: Place) {
    let app = app(place).await;
    let top = app.submit(waits_for_a_parent()).await.unwrap();
    let [parent, ..] = below(&app, &top).await;
    top.cancel().only_this().await.unwrap();
    app.reaches(&top, Status::Cancelled).await;
    assert_eq!(app.status(parent).await.unwrap().status, Status::Paused);
    app.cancel(parent).with_children().await.unwrap();
}

async fn a_cancel_with_children_reaches_what_was_submitted(place: Place) {
    let app = app(place).await;
    let top = app.submit(waits_for_a_parent()).await.unwrap();
    let all = below(&app, &top).await;
    top.cancel().with_children().await.unwrap();
    for id in all {
        app.reaches(&app.invocation::<waits_for_ever>(id), Status::Cancelled).await;
    }
}

async fn a_body_that_waits_for_many_has_all_of_them_cancelled(place: Place) {
    let app = app(place).await;
    let parent = app.submit(waits_for_a_group(1500)).await.unwrap();
    app.reaches(&parent, Status::Paused).await;
    parent.cancel().await.unwrap();
    app.reaches(&parent, Status::Cancelled).await;
    let children = app.parts().state.children(parent.id()).await.unwrap();
    assert_eq!(children.len(), 1500);
    for child in children {
        app.reaches(&app.invocation::<waits_for_ever>(child), Status::Cancelled).await;
    }
}

async fn a_group_is_cancelled_in_batches(place: Place) {
    let app = place.client(|builder| builder.without_linked_tasks().tasks(all_tasks()).state(Stage::default())).await;
    let group = app.submit_all((0..1200).map(|_| waits_for_ever().delay(hours(1)))).await.unwrap();
    let results = group.cancel().await.unwrap();
    assert!(results.len() == 1200 && results.into_iter().all(|result| result.unwrap()));
    assert_eq!(app.count(Status::Cancelled).await.unwrap(), 1200);
    let [first, last] = [&group.invocations()[0], &group.invocations()[1199]];
    let unknown = InvocationId::new();
    let results = app.cancel_all(&[first.id(), unknown, last.id()]).await.unwrap();
    assert!(matches!(&results[..], [Ok(true), Err(Error::InvocationNotFound(id)), Ok(true)] if *id == unknown));
}

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
    while !app.submit(has_begun()).await.unwrap().result().await.unwrap() {}
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
