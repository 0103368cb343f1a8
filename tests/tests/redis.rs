//! Tests with several clients and runners of one server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::LazyLock;

use pynenc::prelude::*;
use pynenc::{PynencBuilder, Reason};
use pynenc_testkit::RedisServer;

static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

#[task(running_concurrency = keys(account), reroute_on_concurrency_control = true)]
async fn one_for_each_account(account: u32, n: u32) -> u32 {
    tokio::time::sleep(millis(5)).await;
    account * 100 + n
}

#[task]
async fn waits_forever() {
    std::future::pending::<()>().await;
}

#[task]
async fn shouts_often(times: u32) -> Result<()> {
    for _ in 0..times {
        shout_softly("x".into()).await?;
    }
    Ok(())
}

#[task]
async fn shout_softly(text: String) -> String {
    text
}

#[task]
fn shout(text: String) -> String {
    text.to_uppercase()
}

fn builder(app_id: &str) -> PynencBuilder {
    let tasks = tasks![one_for_each_account, waits_forever, shout];
    let builder = Pynenc::builder().without_config_file().environment([]).without_linked_tasks().tasks(tasks);
    builder.app_id(app_id).redis(&SERVER.url())
}

/// A client and a runner that share only the server.
async fn client_and_runner(app_id: &str, concurrency: u64) -> (Pynenc, pynenc::RunnerHandle) {
    let client = builder(app_id).build().await.unwrap();
    let worker = builder(app_id).set("runner.concurrency", concurrency).build().await.unwrap();
    (client, worker.start_runner().await.unwrap())
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
async fn invocations_of_a_stopped_runner_are_run_by_another() {
    let (app, runner) = client_and_runner("stopped", 4).await;
    let invocation = app.submit(waits_forever()).await.unwrap();
    while invocation.status().await.unwrap() != Status::Running {
        tokio::task::yield_now().await;
    }
    runner.shutdown_now().await.unwrap();
    let given_back = app.invocation::<waits_forever>(invocation.id());
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

/// The number of commands that clients have sent to a server. Commands inside of scripts don't count.
fn sent_to(server: &RedisServer) -> u64 {
    let report = server.command(&["INFO", "commandstats"]);
    let calls = [
        "fcall",
        "evalsha",
        "eval",
        "blpop",
        "ping",
        "unwatch",
        "hello",
        "subscribe",
        "client|setinfo",
        "command|info",
    ];
    let calls = calls.map(|name| {
        let line = report.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.and_then(|rest| rest.split(',').next()?.parse::<u64>().ok()).unwrap_or(0)
    });
    calls.iter().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_runner_sends_few_commands() {
    const SECONDS: u64 = 4;
    let server = RedisServer::start();
    let tasks = tasks![shout];
    let builder = Pynenc::builder().without_config_file().environment([]).without_linked_tasks().tasks(tasks);
    let app = builder.redis(&server.url()).build().await.unwrap();
    let runner = app.start_runner().await.unwrap();
    app.submit(shout("warm".into())).await.unwrap().result().await.unwrap();
    let before = sent_to(&server);
    tokio::time::sleep(secs(SECONDS)).await;
    let commands = sent_to(&server) - before;
    assert!((1..3 * SECONDS).contains(&commands), "{commands} commands in {SECONDS} s");
    runner.shutdown().await.unwrap();
}

/// One round trip submits an awaited call, pauses its caller and claims the call. Another settles the call and resumes
/// the caller.
#[tokio::test(flavor = "multi_thread")]
async fn an_awaited_call_takes_two_round_trips() {
    const CALLS: u32 = 200;
    let server = RedisServer::start();
    let tasks = tasks![shouts_often, shout_softly];
    let builder = Pynenc::builder().without_config_file().environment([]).without_linked_tasks().tasks(tasks);
    let app = builder.redis(&server.url()).build().await.unwrap();
    let runner = app.start_runner().await.unwrap();
    app.submit(shouts_often(1)).await.unwrap().result().await.unwrap();
    let before = sent_to(&server);
    app.submit(shouts_often(CALLS)).await.unwrap().result().await.unwrap();
    let commands = sent_to(&server) - before;
    // Heartbeats and services add some commands.
    assert!((2 * u64::from(CALLS)..5 * u64::from(CALLS) / 2).contains(&commands), "{commands} for {CALLS} calls");
    runner.shutdown().await.unwrap();
}
