//! Tests of delays, priorities and queues.

use std::sync::Mutex;
use std::time::SystemTime;

use pynenc::prelude::*;

use crate::backend::{App, Backend, on_each_backend, time_in};

type Log = Mutex<Vec<String>>;

#[task]
async fn note(#[inject] log: State<Log>, text: String) {
    log.lock().unwrap().push(text);
}

#[task]
async fn log_of(#[inject] log: State<Log>) -> Vec<String> {
    log.lock().unwrap().clone()
}

async fn app(backend: Backend, configure: impl Fn(pynenc::PynencBuilder) -> pynenc::PynencBuilder) -> App {
    backend.app(|builder| configure(builder.without_linked_tasks().tasks(all_tasks()).state(Log::default()))).await
}

async fn log(app: &App) -> Vec<String> {
    app.submit(log_of()).await.unwrap().result().await.unwrap()
}

fn all_tasks() -> Vec<&'static pynenc::engine::TaskDefinition> {
    tasks![note, log_of].into()
}

on_each_backend![
    a_delayed_call_runs_when_due_and_not_earlier,
    a_past_due_time_runs_now,
    higher_priorities_go_first_and_equal_ones_in_the_order_of_submission,
    a_runner_serves_its_queues_in_their_order_and_no_others,
    many_calls_due_at_once_all_run,
];

/// The app's time, which differs from the machine's where time is virtual.
fn now(app: &App) -> SystemTime {
    SystemTime::UNIX_EPOCH + millis(app.parts().clock.now().as_millis())
}

async fn a_delayed_call_runs_when_due_and_not_earlier(backend: Backend) {
    let app = app(backend, |builder| builder).await;
    let delayed = app.submit(note("delayed".into()).delay(secs(2))).await.unwrap();
    let dated = app.submit(note("dated".into()).at(now(&app) + secs(1))).await.unwrap();
    dated.result().await.unwrap();
    delayed.result().await.unwrap();
    assert!(time_in(&delayed, Status::Scheduled).await >= secs(2));
    // An absolute due time assumes that the caller's clock agrees with the store's.
    assert!(time_in(&dated, Status::Scheduled).await >= millis(900));
    assert_eq!(log(&app).await, ["dated", "delayed"]);
}

async fn a_past_due_time_runs_now(backend: Backend) {
    let app = app(backend, |builder| builder).await;
    let call = note("past".into()).at(SystemTime::UNIX_EPOCH);
    app.submit(call).await.unwrap().result().await.unwrap();
    assert_eq!(log(&app).await, ["past"]);
}

async fn higher_priorities_go_first_and_equal_ones_in_the_order_of_submission(backend: Backend) {
    let app = app(backend, |builder| builder.set("runner.concurrency", 1)).await;
    let at = |text: &str, priority| note(text.to_owned()).priority(priority).delay(secs(1));
    let calls = [at("low", 1), at("first", 5), at("second", 5), at("high", 9), at("lowest", 0)];
    app.submit_all(calls).await.unwrap().results().await.unwrap();
    assert_eq!(log(&app).await, ["high", "first", "second", "low", "lowest"]);
}

async fn a_runner_serves_its_queues_in_their_order_and_no_others(backend: Backend) {
    let app =
        app(backend, |builder| builder.set("runner.queues", ["gpu", "default"]).set("runner.concurrency", 1)).await;
    let at = |text: &str, queue| note(text.to_owned()).queue(queue).delay(secs(1));
    let calls = [at("default", "default"), at("gpu", "gpu")];
    let elsewhere = app.submit(at("elsewhere", "mail")).await.unwrap();
    app.submit_all(calls).await.unwrap().results().await.unwrap();
    tokio::time::sleep(millis(500)).await;
    assert_eq!(log(&app).await, ["gpu", "default"]);
    assert_eq!(elsewhere.status().await.unwrap(), Status::Scheduled);
}

async fn many_calls_due_at_once_all_run(backend: Backend) {
    let app = app(backend, |builder| builder).await;
    let calls = (0..5_000).map(|n| note(n.to_string()).delay(millis(500)));
    app.submit_all(calls).await.unwrap().results().await.unwrap();
    assert_eq!(log(&app).await.len(), 5_000);
}
