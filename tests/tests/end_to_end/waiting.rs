//! Tests of tasks that await tasks, and of deadlocks.

use std::sync::atomic::{AtomicUsize, Ordering};

use Status::{Paused, Pending, Registered, Running, Success};
use pynenc::prelude::*;

use crate::backend::{App, Backend, on_each_backend};

#[task]
async fn fibonacci(n: u64) -> Result<u64> {
    if n < 2 {
        return Ok(n);
    }
    Ok(fibonacci(n - 1).await? + fibonacci(n - 2).await?)
}

#[task]
async fn both_at_once(n: u64) -> Result<u64> {
    let (a, b) = tokio::join!(fibonacci(n - 1).into_future(), fibonacci(n - 2).into_future());
    Ok(a? + b?)
}

#[task]
async fn sum_of_a_batch(#[inject] context: TaskContext, n: u64) -> Result<u64> {
    Ok(context.submit_all((0..n).map(fibonacci)).await?.results().await?.into_iter().sum())
}

#[task]
async fn first_of_two() -> Result<String> {
    tokio::select! {
        biased;
        _ = never().into_future() => Ok("never".into()),
        value = soon().into_future() => value.map(|()| "soon".into()),
    }
}

#[task]
async fn soon() {}

#[task]
async fn never() {
    std::future::pending::<()>().await;
}

#[task]
async fn fails() -> Result<(), String> {
    Err("broken".into())
}

#[task]
async fn asks_a_failing_child() -> Result<String> {
    Ok(match fails().await {
        Err(Error::TaskFailed(error)) => error.message,
        other => format!("{other:?}"),
    })
}

#[task]
async fn waits_for_itself(#[inject] context: TaskContext) -> Result<String> {
    match context.engine().invocation::<soon>(context.invocation_id()).result().await {
        Err(Error::WaitCycle { path }) => Ok(path),
        other => Ok(format!("{other:?}")),
    }
}

#[task(running_concurrency = task, reroute_on_concurrency_control = true)]
async fn one_at_a_time(depth: u32) -> Result<u32> {
    if depth == 0 { Ok(0) } else { one_at_a_time(depth - 1).await }
}

#[task]
fn blocking_and_awaiting() -> String {
    let waited = tokio::runtime::Handle::current().block_on(soon().into_future());
    waited.unwrap_err().to_string()
}

#[task]
fn blocking_and_submitting(#[inject] context: TaskContext) -> Result<pynenc::InvocationId> {
    Ok(context.submit_blocking(soon())?.id())
}

#[task]
async fn spawns() -> Result<bool> {
    let context = TaskContext::current()?;
    let bare = tokio::spawn(async { soon().await }).await.map_err(Error::other)?;
    let scoped = tokio::spawn(context.scope(async { soon().await })).await.map_err(Error::other)?;
    Ok(matches!(bare, Err(Error::NoContext)) && scoped.is_ok())
}

#[task]
async fn counts(#[inject] running: State<AtomicUsize>, n: u64) -> Result<usize> {
    if n > 0 {
        counts(n - 1).await?;
    }
    let now = running.fetch_add(1, Ordering::Relaxed) + 1;
    tokio::task::yield_now().await;
    running.fetch_sub(1, Ordering::Relaxed);
    Ok(now)
}

async fn app(backend: Backend, concurrency: u64) -> App {
    backend.app(|builder| configured(builder).set("runner.concurrency", concurrency)).await
}

fn configured(builder: pynenc::PynencBuilder) -> pynenc::PynencBuilder {
    builder.without_linked_tasks().tasks(all_tasks()).state(AtomicUsize::new(0))
}

fn all_tasks() -> Vec<&'static pynenc::engine::TaskDefinition> {
    tasks![
        fibonacci,
        both_at_once,
        sum_of_a_batch,
        first_of_two,
        soon,
        never,
        fails,
        asks_a_failing_child,
        waits_for_itself,
        one_at_a_time,
        blocking_and_awaiting,
        blocking_and_submitting,
        spawns,
        counts,
        meets,
        waits_for_meeting
    ]
    .into()
}

on_each_backend![
    one_slot_is_enough_for_nested_calls,
    one_slot_is_enough_for_calls_at_once_and_for_batches,
    a_task_continues_after_an_abandoned_wait,
    no_more_tasks_run_than_there_are_slots,
    an_awaited_child_runs_before_the_backlog,
    a_parent_can_handle_its_childs_error,
    a_wait_cycle_fails_with_its_path,
    two_tasks_that_await_each_other_fail_with_the_path,
    a_deadlock_through_a_slot_fails_with_its_path,
    a_blocking_task_can_submit_but_not_await,
    scope_carries_the_context_into_a_spawned_task,
    too_many_paused_tasks_are_refused,
];

async fn one_slot_is_enough_for_nested_calls(backend: Backend) {
    let app = app(backend, 1).await;
    let invocation = app.submit(fibonacci(15)).await.unwrap();
    assert_eq!(invocation.result().await.unwrap(), 610);
    assert_eq!(app.count(Status::Success).await.unwrap(), 1973, "each call is an invocation of its own");
    let statuses: Vec<_> = invocation.history().await.unwrap().iter().map(|entry| entry.status).collect();
    assert_eq!(statuses, [Registered, Pending, Running, Paused, Running, Paused, Running, Success]);
}

async fn one_slot_is_enough_for_calls_at_once_and_for_batches(backend: Backend) {
    let app = app(backend, 1).await;
    assert_eq!(app.submit(both_at_once(10)).await.unwrap().result().await.unwrap(), 55);
    assert_eq!(app.submit(sum_of_a_batch(8)).await.unwrap().result().await.unwrap(), 33);
}

async fn a_task_continues_after_an_abandoned_wait(backend: Backend) {
    let app = app(backend, 2).await;
    assert_eq!(app.submit(first_of_two()).await.unwrap().result().await.unwrap(), "soon");
}

async fn no_more_tasks_run_than_there_are_slots(backend: Backend) {
    let app = app(backend, 2).await;
    let group = app.submit_all((0..40).map(|n| counts(n % 4))).await.unwrap();
    assert!(group.results().await.unwrap().into_iter().all(|running| running <= 2));
}

async fn an_awaited_child_runs_before_the_backlog(backend: Backend) {
    let app = app(backend, 1).await;
    let parent = app.submit(fibonacci(3).priority(9)).await.unwrap();
    let backlog = app.submit_all((0..1000).map(|_| soon().priority(9))).await.unwrap();
    parent.result().await.unwrap();
    let ids: Vec<_> = backlog.invocations().iter().map(Invocation::id).collect();
    let backlog = app.parts().orchestrator.records(&ids).await.unwrap();
    let waiting = backlog.iter().flatten().filter(|it| it.record.status == Status::Registered).count();
    assert!(waiting > 900, "{waiting} of the backlog still wait");
}

async fn a_parent_can_handle_its_childs_error(backend: Backend) {
    assert_eq!(app(backend, 1).await.submit(asks_a_failing_child()).await.unwrap().result().await.unwrap(), "broken");
}

async fn a_wait_cycle_fails_with_its_path(backend: Backend) {
    let app = app(backend, 4).await;
    let path = app.submit(waits_for_itself()).await.unwrap();
    let id = path.id().to_string();
    assert_eq!(path.result().await.unwrap(), format!("{id} -> {id}"));
}

async fn two_tasks_that_await_each_other_fail_with_the_path(backend: Backend) {
    let app = app(backend, 4).await;
    // The second task awaits the first. The first learns the second's id from its workflow data and awaits it too.
    let first = app.submit(meets().delay(secs(1))).await.unwrap();
    let second = app.submit(waits_for_meeting(first.id()).delay(secs(1))).await.unwrap();
    app.parts().state.put_workflow_data(first.id(), "partner", inline(second.id())).await.unwrap();
    let errors = [first.result().await.unwrap_err().to_string(), second.result().await.unwrap_err().to_string()];
    let both = |text: &String| text.contains(&first.id().to_string()) && text.contains(&second.id().to_string());
    assert!(errors.iter().any(both), "{errors:?}");
}

fn inline(id: pynenc::InvocationId) -> pynenc::core::record::Payload {
    pynenc::core::record::Payload::Inline(id.to_string().into_bytes().into())
}

#[task]
async fn meets(#[inject] context: TaskContext) -> Result<()> {
    let stored = context.engine().parts().state.workflow_data(context.invocation_id(), "partner").await?;
    let Some(pynenc::core::record::Payload::Inline(bytes)) = stored else { return Err(Error::other("no partner")) };
    let partner = std::str::from_utf8(&bytes).map_err(Error::other)?.parse()?;
    context.engine().invocation::<waits_for_meeting>(partner).result().await
}

#[task]
async fn waits_for_meeting(id: pynenc::InvocationId, #[inject] context: TaskContext) -> Result<()> {
    context.engine().invocation::<meets>(id).result().await
}

async fn a_deadlock_through_a_slot_fails_with_its_path(backend: Backend) {
    let app = app(backend, 4).await;
    let invocation = app.submit(one_at_a_time(1)).await.unwrap();
    let error = invocation.result().await.unwrap_err().to_string();
    assert!(error.contains("wait for each other") && error.contains(&invocation.id().to_string()), "{error}");
}

async fn a_blocking_task_can_submit_but_not_await(backend: Backend) {
    let app = app(backend, 1).await;
    let refusal = app.submit(blocking_and_awaiting()).await.unwrap().result().await.unwrap();
    assert!(refusal.contains("make it an `async fn`"), "{refusal}");
    let child = app.submit(blocking_and_submitting()).await.unwrap().result().await.unwrap();
    app.invocation::<soon>(child).result().await.unwrap();
}

async fn scope_carries_the_context_into_a_spawned_task(backend: Backend) {
    assert!(app(backend, 1).await.submit(spawns()).await.unwrap().result().await.unwrap());
}

#[tokio::test]
async fn a_call_cant_be_awaited_outside_a_task() {
    let error = soon().await.unwrap_err().to_string();
    assert!(error.contains("app.submit(call)"), "{error}");
}

async fn too_many_paused_tasks_are_refused(backend: Backend) {
    let app = backend.app(|builder| configured(builder).set("runner.max_paused", 2)).await;
    let error = app.submit(fibonacci(6)).await.unwrap().result().await.unwrap_err().to_string();
    assert!(error.contains("runner.max_paused"), "{error}");
}
