//! What users are promised, over Redis: clients and runners that share nothing but a server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::LazyLock;

use Status::{Pending, Retry, Running, Scheduled, Success};
use pynenc::prelude::*;
use pynenc::{PynencBuilder, Reason};
use pynenc_testkit::RedisServer;

static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

#[task]
async fn fibonacci(n: u64) -> Result<u64> {
    if n < 2 {
        return Ok(n);
    }
    Ok(fibonacci(n - 1).await? + fibonacci(n - 2).await?)
}

#[task(max_retries = 2, backoff = constant("50ms"))]
async fn fails_once(#[inject] context: TaskContext) -> Result<u32, String> {
    if context.attempt_number() == 1 { Err("not yet".into()) } else { Ok(context.attempt_number()) }
}

#[task(running_concurrency = keys(account), reroute_on_concurrency_control = true)]
async fn one_for_each_account(account: u32, n: u32) -> u32 {
    tokio::time::sleep(millis(5)).await;
    account * 100 + n
}

#[task]
async fn waits_for_ever() {
    std::future::pending::<()>().await;
}

#[task]
fn shout(text: String) -> String {
    text.to_uppercase()
}

fn builder(app_id: &str) -> PynencBuilder {
    let tasks = tasks![fibonacci, fails_once, one_for_each_account, waits_for_ever, shout];
    let builder = Pynenc::builder().without_config_file().environment([]).without_linked_tasks().tasks(tasks);
    builder.app_id(app_id).redis(&SERVER.url())
}

/// A client and a runner that know of each other through the server alone.
async fn client_and_runner(app_id: &str, concurrency: u64) -> (Pynenc, pynenc::RunnerHandle) {
    let client = builder(app_id).build().await.unwrap();
    let worker = builder(app_id).set("runner.concurrency", concurrency).build().await.unwrap();
    (client, worker.start_runner().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_come_back_single_and_in_batches() {
    let (app, runner) = client_and_runner("values", 8).await;
    assert_eq!(app.submit(shout("ab".into())).await.unwrap().result().await.unwrap(), "AB");
    let group = app.submit_all((0..700).map(|n| shout(format!("t{n}")))).await.unwrap();
    let expected: Vec<_> = (0..700).map(|n| format!("T{n}")).collect();
    assert_eq!(group.results().await.unwrap(), expected);
    runner.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_slot_is_enough_for_nested_calls() {
    let (app, runner) = client_and_runner("nested", 1).await;
    assert_eq!(app.submit(fibonacci(9)).await.unwrap().result().await.unwrap(), 34);
    assert_eq!(app.count(Status::Success).await.unwrap(), 109);
    runner.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_and_delays_are_kept_by_the_server() {
    let (app, runner) = client_and_runner("retries", 4).await;
    let invocation = app.submit(fails_once().delay(millis(100))).await.unwrap();
    assert_eq!(invocation.result().await.unwrap(), 2);
    let statuses: Vec<_> = invocation.history().await.unwrap().iter().map(|entry| entry.status).collect();
    assert_eq!(statuses, [Scheduled, Pending, Running, Retry, Pending, Running, Success]);
    runner.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_handed_over_until_all_have_run() {
    let (app, first) = client_and_runner("slots", 8).await;
    let (_, second) = client_and_runner("slots", 8).await;
    let group = app.submit_all((0..40).map(|n| one_for_each_account(n % 2, n))).await.unwrap();
    assert_eq!(group.results().await.unwrap(), (0..40).map(|n| n % 2 * 100 + n).collect::<Vec<_>>());
    first.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_body_is_told_of_a_cancel() {
    let (app, runner) = client_and_runner("cancel", 4).await;
    let invocation = app.submit(waits_for_ever()).await.unwrap();
    while invocation.status().await.unwrap() != Status::Running {
        tokio::task::yield_now().await;
    }
    assert!(!invocation.cancel().await.unwrap());
    assert!(matches!(invocation.result_timeout(secs(4)).await, Err(Error::Cancelled(_))), "pushed, not polled");
    runner.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopped_runner_gives_back_is_run_by_another() {
    let (app, runner) = client_and_runner("stopped", 4).await;
    let invocation = app.submit(waits_for_ever()).await.unwrap();
    while invocation.status().await.unwrap() != Status::Running {
        tokio::task::yield_now().await;
    }
    runner.shutdown_now().await.unwrap();
    let given_back = app.invocation::<waits_for_ever>(invocation.id());
    assert_eq!(given_back.history().await.unwrap().last().unwrap().reason, Reason::Shutdown);
    let (_, second) = client_and_runner("stopped", 4).await;
    while invocation.status().await.unwrap() != Status::Running {
        tokio::task::yield_now().await;
    }
    second.shutdown_now().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_that_share_a_server_dont_see_each_other() {
    let (app, runner) = client_and_runner("mine", 4).await;
    let invocation = app.submit(shout("x".into())).await.unwrap();
    invocation.result().await.unwrap();
    let other = builder("yours").build().await.unwrap();
    assert!(matches!(other.status(invocation.id()).await, Err(Error::InvocationNotFound(_))));
    runner.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_without_work_asks_little_of_the_server() {
    const SECONDS: u64 = 4;
    let server = RedisServer::start();
    let tasks = tasks![shout];
    let builder = Pynenc::builder().without_config_file().environment([]).without_linked_tasks().tasks(tasks);
    let app = builder.redis(&server.url()).build().await.unwrap();
    let runner = app.start_runner().await.unwrap();
    app.submit(shout("warm".into())).await.unwrap().result().await.unwrap();
    let sent = || {
        let report = server.command(&["INFO", "commandstats"]);
        // What scripts call isn't sent: these are what a client does send.
        let calls =
            ["evalsha", "eval", "blpop", "ping", "unwatch", "hello", "subscribe", "client|setinfo"].map(|name| {
                let line = report.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
                line.and_then(|rest| rest.split(',').next()?.parse::<u64>().ok()).unwrap_or(0)
            });
        calls.iter().sum::<u64>()
    };
    let before = sent();
    tokio::time::sleep(secs(SECONDS)).await;
    let commands = sent() - before;
    assert!((1..3 * SECONDS).contains(&commands), "{commands} commands in {SECONDS} s");
    runner.shutdown().await.unwrap();
}
