//! Tasks that wait for tasks.

use std::sync::atomic::{AtomicUsize, Ordering};

use Status::{Paused, Pending, Registered, Running, Success};
use pynenc::prelude::*;

use crate::place::{App, Place, on_both};

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
fn plain_and_waiting() -> String {
    let waited = tokio::runtime::Handle::current().block_on(soon().into_future());
    waited.unwrap_err().to_string()
}

#[task]
fn plain_and_submitting(#[inject] context: TaskContext) -> Result<pynenc::InvocationId> {
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

async fn app(place: Place, concurrency: u64) -> App {
    place.app(|builder| configured(builder).set("runner.concurrency", concurrency)).await
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
        plain_and_waiting,
        plain_and_submitting,
        spawns,
        counts,
        meets,
        waits_for_meeting
    ]
    .into()
}

on_both![
    one_slot_is_enough_for_nested_calls,
    one_slot_is_enough_for_calls_at_once_and_for_batches,
    a_wait_that_is_given_up_leaves_the_body_its_own_way,
    never_more_bodies_run_than_there_are_slots,
    what_is_waited_for_goes_before_what_was_there_first,
    a_childs_error_is_its_parents_to_handle,
    a_circle_of_waits_ends_with_its_path,
    two_that_wait_for_each_other_end_with_the_path,
    a_circle_through_a_slot_ends_with_its_path,
    a_plain_body_may_submit_but_not_wait,
    the_context_is_carried_where_it_is_scoped,
    more_waiting_bodies_than_the_setting_allows_are_refused,
];

async fn one_slot_is_enough_for_nested_calls(place: Place) {
    let app = app(place, 1).await;
    let invocation = app.submit(fibonacci(15)).await.unwrap();
    assert_eq!(invocation.result().await.unwrap(), 610);
    assert_eq!(app.count(Status::Success).await.unwrap(), 1973, "each call is an invocation of its own");
    let statuses: Vec<_> = invocation.history().await.unwrap().iter().map(|entry| entry.status).collect();
    assert_eq!(statuses, [Registered, Pending, Running, Paused, Running, Paused, Running, Success]);
}

async fn one_slot_is_enough_for_calls_at_once_and_for_batches(place: Place) {
    let app = app(place, 1).await;
    assert_eq!(app.submit(both_at_once(10)).await.unwrap().result().await.unwrap(), 55);
    assert_eq!(app.submit(sum_of_a_batch(8)).await.unwrap().result().await.unwrap(), 33);
}

async fn a_wait_that_is_given_up_leaves_the_body_its_own_way(place: Place) {
    let app = app(place, 2).await;
    assert_eq!(app.submit(first_of_two()).await.unwrap().result().await.unwrap(), "soon");
}

async fn never_more_bodies_run_than_there_are_slots(place: Place) {
    let app = app(place, 2).await;
    let group = app.submit_all((0..40).map(|n| counts(n % 4))).await.unwrap();
    assert!(group.results().await.unwrap().into_iter().all(|running| running <= 2));
}

async fn what_is_waited_for_goes_before_what_was_there_first(place: Place) {
    let app = app(place, 1).await;
    let parent = app.submit(fibonacci(3).priority(9)).await.unwrap();
    let crowd = app.submit_all((0..1000).map(|_| soon().priority(9))).await.unwrap();
    parent.result().await.unwrap();
    let ids: Vec<_> = crowd.invocations().iter().map(Invocation::id).collect();
    let crowd = app.parts().orchestrator.records(&ids).await.unwrap();
    let waiting = crowd.iter().flatten().filter(|it| it.record.status == Status::Registered).count();
    assert!(waiting > 900, "{waiting} of the crowd wait still");
}

async fn a_childs_error_is_its_parents_to_handle(place: Place) {
    assert_eq!(app(place, 1).await.submit(asks_a_failing_child()).await.unwrap().result().await.unwrap(), "broken");
}

async fn a_circle_of_waits_ends_with_its_path(place: Place) {
    let app = app(place, 4).await;
    let path = app.submit(waits_for_itself()).await.unwrap();
    let id = path.id().to_string();
    assert_eq!(path.result().await.unwrap(), format!("{id} -> {id}"));
}

async fn two_that_wait_for_each_other_end_with_the_path(place: Place) {
    let app = app(place, 4).await;
    // The second waits for the first, whose wait for the second comes by a third handle.
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

async fn a_circle_through_a_slot_ends_with_its_path(place: Place) {
    let app = app(place, 4).await;
    let invocation = app.submit(one_at_a_time(1)).await.unwrap();
    let error = invocation.result().await.unwrap_err().to_string();
    assert!(error.contains("wait for each other") && error.contains(&invocation.id().to_string()), "{error}");
}

async fn a_plain_body_may_submit_but_not_wait(place: Place) {
    let app = app(place, 1).await;
    let refusal = app.submit(plain_and_waiting()).await.unwrap().result().await.unwrap();
    assert!(refusal.contains("make it an `async fn`"), "{refusal}");
    let child = app.submit(plain_and_submitting()).await.unwrap().result().await.unwrap();
    app.invocation::<soon>(child).result().await.unwrap();
}

async fn the_context_is_carried_where_it_is_scoped(place: Place) {
    assert!(app(place, 1).await.submit(spawns()).await.unwrap().result().await.unwrap());
}

#[tokio::test]
async fn outside_a_task_a_call_cant_be_awaited() {
    let error = soon().await.unwrap_err().to_string();
    assert!(error.contains("app.submit(call)"), "{error}");
}

async fn more_waiting_bodies_than_the_setting_allows_are_refused(place: Place) {
    let app = place.app(|builder| configured(builder).set("runner.max_paused", 2)).await;
    let error = app.submit(fibonacci(6)).await.unwrap().result().await.unwrap_err().to_string();
    assert!(error.contains("runner.max_paused"), "{error}");
}
