//! Delays, priorities, queues.

use std::sync::Mutex;
use std::time::SystemTime;

use pynenc::prelude::*;
use pynenc::testing::TestApp;

type Log = Mutex<Vec<String>>;

#[task]
async fn note(#[inject] log: State<Log>, text: String) {
    log.lock().unwrap().push(text);
}

#[task]
async fn log_of(#[inject] log: State<Log>) -> Vec<String> {
    log.lock().unwrap().clone()
}

async fn app(configure: impl FnOnce(pynenc::PynencBuilder) -> pynenc::PynencBuilder) -> TestApp {
    TestApp::with(|builder| configure(builder.without_linked_tasks().tasks(all_tasks()).state(Log::default())))
        .await
        .unwrap()
}

async fn log(app: &TestApp) -> Vec<String> {
    app.submit(log_of()).await.unwrap().result().await.unwrap()
}

fn all_tasks() -> Vec<&'static pynenc::engine::TaskDefinition> {
    tasks![note, log_of].into()
}

#[tokio::test]
async fn what_is_delayed_runs_at_its_time_and_not_before() {
    let app = app(|builder| builder).await;
    let delayed = app.submit(note("delayed".into()).delay(hours(2))).await.unwrap();
    let at = SystemTime::now() + hours(1);
    let dated = app.submit(note("dated".into()).at(at)).await.unwrap();
    app.advance(minutes(58)).await;
    assert_eq!(dated.status().await.unwrap(), Status::Scheduled);
    app.advance(minutes(4)).await;
    assert_eq!(dated.status().await.unwrap(), Status::Success);
    assert_eq!(delayed.status().await.unwrap(), Status::Scheduled);
    app.advance(hours(1)).await;
    assert_eq!(log(&app).await, ["dated", "delayed"]);
}

#[tokio::test]
async fn a_time_that_has_passed_is_now() {
    let app = app(|builder| builder).await;
    let call = note("past".into()).at(SystemTime::UNIX_EPOCH);
    app.submit(call).await.unwrap().result().await.unwrap();
    assert_eq!(log(&app).await, ["past"]);
}

#[tokio::test]
async fn higher_priorities_go_first_and_equal_ones_in_the_order_of_submission() {
    let app = app(|builder| builder.without_linked_tasks().tasks(all_tasks()).set("runner.concurrency", 1)).await;
    let at = |text: &str, priority| note(text.to_owned()).priority(priority).delay(secs(1));
    let calls = [at("low", 1), at("first", 5), at("second", 5), at("high", 9), at("lowest", 0)];
    app.submit_all(calls).await.unwrap().results().await.unwrap();
    assert_eq!(log(&app).await, ["high", "first", "second", "low", "lowest"]);
}

#[tokio::test]
async fn a_runner_serves_its_queues_in_their_order_and_no_others() {
    let app = app(|builder| {
        builder
            .without_linked_tasks()
            .tasks(all_tasks())
            .set("runner.queues", ["gpu", "default"])
            .set("runner.concurrency", 1)
    })
    .await;
    let at = |text: &str, queue| note(text.to_owned()).queue(queue).delay(secs(1));
    let calls = [at("default", "default"), at("gpu", "gpu")];
    let elsewhere = app.submit(at("elsewhere", "mail")).await.unwrap();
    app.submit_all(calls).await.unwrap().results().await.unwrap();
    app.advance(hours(1)).await;
    assert_eq!(log(&app).await, ["gpu", "default"]);
    assert_eq!(elsewhere.status().await.unwrap(), Status::Scheduled);
}

#[tokio::test]
async fn a_herd_that_is_due_at_once_runs_to_the_last() {
    let app = app(|builder| builder).await;
    let calls = (0..5_000).map(|n| note(n.to_string()).delay(minutes(1)));
    app.submit_all(calls).await.unwrap().results().await.unwrap();
    assert_eq!(log(&app).await.len(), 5_000);
}
