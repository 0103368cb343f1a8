//! Tests of cancelling waiting, running and finished invocations.

use std::sync::atomic::{AtomicBool, Ordering};

use pynenc::InvocationId;
use pynenc::core::reads;
use pynenc::prelude::*;

use crate::backend::{App, Backend, on_each_backend};

#[derive(Default)]
struct Flags {
    has_started: AtomicBool,
    was_stopped: AtomicBool,
}

#[task]
async fn waits_forever(#[inject] flags: State<Flags>) {
    struct Dropped(State<Flags>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.was_stopped.store(true, Ordering::Relaxed);
        }
    }
    let _dropped = Dropped(flags.clone());
    std::future::pending::<()>().await;
}

#[task]
fn polls_for_cancel(#[inject] flags: State<Flags>, #[inject] context: TaskContext) -> Result<(), String> {
    flags.has_started.store(true, Ordering::Relaxed);
    while !context.is_cancelled() {
        std::thread::yield_now();
    }
    flags.was_stopped.store(true, Ordering::Relaxed);
    Err("stopped early".into())
}

#[task(max_retries = 5)]
async fn retries_for_long() -> Result<(), String> {
    Err("again".into())
}

#[task]
async fn parent_of_a_cancelled_child(#[inject] context: TaskContext) -> Result<String> {
    let child = context.submit(waits_forever()).await?;
    context.engine().cancel(child.id()).await?;
    Ok(match child.result().await {
        Err(Error::Cancelled(_)) => "the child was cancelled".into(),
        other => format!("{other:?}"),
    })
}

/// Awaits one child and submits another.
#[task]
async fn waits_for_a_child(#[inject] context: TaskContext) -> Result<()> {
    context.submit(waits_forever()).await?;
    waits_forever().await
}

#[task]
async fn waits_for_a_parent() -> Result<()> {
    waits_for_a_child().await
}

#[task]
async fn waits_for_a_group(#[inject] context: TaskContext, size: usize) -> Result<()> {
    context.submit_all((0..size).map(|_| waits_forever())).await?.results().await.map(drop)
}

async fn app(backend: Backend) -> App {
    backend.app(|builder| builder.without_linked_tasks().tasks(all_tasks()).state(Flags::default())).await
}

#[task]
async fn has_started(#[inject] flags: State<Flags>) -> bool {
    flags.has_started.load(Ordering::Relaxed)
}

#[task]
async fn was_stopped(#[inject] flags: State<Flags>) -> bool {
    flags.was_stopped.load(Ordering::Relaxed)
}

fn all_tasks() -> Vec<&'static pynenc::engine::TaskDefinition> {
    tasks![
        has_started,
        was_stopped,
        waits_forever,
        polls_for_cancel,
        retries_for_long,
        parent_of_a_cancelled_child,
        waits_for_a_child,
        waits_for_a_parent,
        waits_for_a_group
    ]
    .into()
}

on_each_backend![
    a_waiting_invocation_is_cancelled_at_once,
    a_cancel_drops_a_running_async_task,
    a_running_blocking_task_sees_the_cancel,
    an_invocation_in_retry_is_cancelled_at_once,
    a_parent_gets_the_cancellation_of_its_child,
    a_cancelled_invocation_leaves_no_hint,
    a_cancel_reaches_awaited_children,
    only_this_leaves_children_running,
    with_children_cancels_submitted_children_too,
    a_cancel_reaches_all_of_many_awaited_children,
    a_group_is_cancelled_in_batches,
];

/// The parent below `top`, its awaited child, and its other child.
async fn below(app: &App, top: &Invocation<waits_for_a_parent>) -> [InvocationId; 3] {
    let children = async |of: InvocationId, count: usize| loop {
        let children = reads::children(&*app.parts().state, of).await.unwrap();
        if children.len() == count {
            return children;
        }
        tokio::time::sleep(millis(5)).await;
    };
    let parent = children(top.id(), 1).await[0];
    let both = children(parent, 2).await;
    app.reaches(top, Status::Paused).await;
    app.reaches(&app.invocation::<waits_for_a_child>(parent), Status::Paused).await;
    // Children are in the order of their calls: the submitted one first, then the awaited one.
    [parent, both[1], both[0]]
}

async fn a_cancel_reaches_awaited_children(backend: Backend) {
    let app = app(backend).await;
    let top = app.submit(waits_for_a_parent()).await.unwrap();
    let [parent, awaited, submitted] = below(&app, &top).await;
    top.cancel().await.unwrap();
    for id in [top.id(), parent, awaited] {
        app.reaches(&app.invocation::<waits_forever>(id), Status::Cancelled).await;
    }
    assert!(!app.status(submitted).await.unwrap().status.is_final(), "no task awaits this child");
    app.cancel(submitted).await.unwrap();
}

async fn only_this_leaves_children_running(backend: Backend) {
    let app = app(backend).await;
    let top = app.submit(waits_for_a_parent()).await.unwrap();
    let [parent, ..] = below(&app, &top).await;
    top.cancel().only_this().await.unwrap();
    app.reaches(&top, Status::Cancelled).await;
    assert_eq!(app.status(parent).await.unwrap().status, Status::Paused);
    app.cancel(parent).with_children().await.unwrap();
}

async fn with_children_cancels_submitted_children_too(backend: Backend) {
    let app = app(backend).await;
    let top = app.submit(waits_for_a_parent()).await.unwrap();
    let all = below(&app, &top).await;
    top.cancel().with_children().await.unwrap();
    for id in all {
        app.reaches(&app.invocation::<waits_forever>(id), Status::Cancelled).await;
    }
}

async fn a_cancel_reaches_all_of_many_awaited_children(backend: Backend) {
    let app = app(backend).await;
    let parent = app.submit(waits_for_a_group(1500)).await.unwrap();
    app.reaches(&parent, Status::Paused).await;
    parent.cancel().await.unwrap();
    app.reaches(&parent, Status::Cancelled).await;
    let children = reads::children(&*app.parts().state, parent.id()).await.unwrap();
    assert_eq!(children.len(), 1500);
    for child in children {
        app.reaches(&app.invocation::<waits_forever>(child), Status::Cancelled).await;
    }
}

async fn a_group_is_cancelled_in_batches(backend: Backend) {
    let app = backend.client(|builder| builder.without_linked_tasks().tasks(all_tasks()).state(Flags::default())).await;
    let group = app.submit_all((0..1200).map(|_| waits_forever().delay(hours(1)))).await.unwrap();
    let results = group.cancel().await.unwrap();
    assert!(results.len() == 1200 && results.into_iter().all(|result| result.unwrap()));
    assert_eq!(app.count(Status::Cancelled).await.unwrap(), 1200);
    let [first, last] = [&group.invocations()[0], &group.invocations()[1199]];
    let unknown = InvocationId::new();
    let results = app.cancel_all(&[first.id(), unknown, last.id()]).await.unwrap();
    assert!(matches!(&results[..], [Ok(true), Err(Error::InvocationNotFound(id)), Ok(true)] if *id == unknown));
}

async fn a_waiting_invocation_is_cancelled_at_once(backend: Backend) {
    let app = app(backend).await;
    let waiting = app.submit(waits_forever().delay(millis(200))).await.unwrap();
    assert!(waiting.cancel().await.unwrap());
    assert!(matches!(waiting.result().await, Err(Error::Cancelled(_))));
    tokio::time::sleep(millis(400)).await;
    assert_eq!(waiting.history().await.unwrap().len(), 2, "the invocation never runs");
}

async fn a_cancel_drops_a_running_async_task(backend: Backend) {
    let app = app(backend).await;
    let running = app.submit(waits_forever()).await.unwrap();
    app.reaches(&running, Status::Running).await;
    assert!(!running.cancel().await.unwrap(), "the runner is notified and stops the task");
    app.reaches(&running, Status::Cancelled).await;
    assert!(app.submit(was_stopped()).await.unwrap().result().await.unwrap());
    assert!(running.cancel().await.unwrap(), "the invocation has finished");
}

async fn a_running_blocking_task_sees_the_cancel(backend: Backend) {
    let app = app(backend).await;
    let running = app.submit(polls_for_cancel()).await.unwrap();
    while !app.submit(has_started()).await.unwrap().result().await.unwrap() {}
    running.cancel().await.unwrap();
    assert!(matches!(running.result().await, Err(Error::Cancelled(_))));
    assert!(app.submit(was_stopped()).await.unwrap().result().await.unwrap());
}

async fn an_invocation_in_retry_is_cancelled_at_once(backend: Backend) {
    let app = app(backend).await;
    let retrying = app.submit(retries_for_long()).await.unwrap();
    app.reaches(&retrying, Status::Retry).await;
    assert!(retrying.cancel().await.unwrap());
    assert!(matches!(retrying.result().await, Err(Error::Cancelled(_))));
}

async fn a_parent_gets_the_cancellation_of_its_child(backend: Backend) {
    let value = app(backend).await.submit(parent_of_a_cancelled_child()).await.unwrap().result().await.unwrap();
    assert_eq!(value, "the child was cancelled");
}

async fn a_cancelled_invocation_leaves_no_hint(backend: Backend) {
    let app = backend
        .client(|builder| builder.without_linked_tasks().tasks(tasks![was_stopped]).state(Flags::default()))
        .await;
    let ready = app.submit(was_stopped()).await.unwrap();
    let delayed = app.submit(was_stopped().delay(hours(24 * 365))).await.unwrap();
    let hints = async || app.parts().broker.queue(&"default".into(), None).await.unwrap();
    let len = hints().await;
    assert_eq!((len.ready, len.delayed), (1, 1));
    app.cancel_all(&[ready.id(), delayed.id()]).await.unwrap().into_iter().for_each(|it| assert!(it.unwrap()));
    let len = hints().await;
    assert_eq!((len.ready, len.delayed), (0, 0), "the delayed hint is removed too");
}
