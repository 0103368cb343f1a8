//! What invocations that are parked behind one key cost everybody else.

use std::time::{Duration, Instant};

use pynenc::prelude::*;
use pynenc_testkit::{RedisServer, RedisServerOptions};

use crate::figures::{Measured, add};

const PARKED: u32 = 10_000;
const OTHERS: u64 = 20_000;

#[task(running_concurrency = task, reroute_on_concurrency_control)]
async fn holds_on(#[inject] _context: TaskContext) {
    std::future::pending::<()>().await;
}

/// An app with a runner, and with so many parked behind one that holds their slot.
async fn with_parked(app: &Pynenc, parked: u32) -> Result<pynenc::RunnerHandle> {
    let runner = app.start_runner().await?;
    app.submit_all((0..=parked).map(|_| holds_on())).await?;
    while app.count(Status::ConcurrencyControlled).await? < u64::from(parked) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(runner)
}

/// Other calls a second, from the first submit to the last end.
async fn others(app: Pynenc, parked: u32) -> Result<f64> {
    let runner = with_parked(&app, parked).await?;
    let start = Instant::now();
    for batch in 0..OTHERS / 1000 {
        app.submit_all((0..1000).map(|n| add(n, batch))).await?;
    }
    while app.count(Status::Success).await? < OTHERS {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let elapsed = start.elapsed();
    runner.shutdown_now().await?;
    Ok(OTHERS as f64 / elapsed.as_secs_f64())
}

/// The throughput beside nobody, which is the target, and beside many. Each is measured twice, so that neither has the
/// advantage of being the first.
pub(crate) async fn others_in_memory() -> Result<Vec<Measured>> {
    let [mut beside_none, mut beside_many] = [0.0; 2];
    for parked in [0, PARKED, PARKED, 0] {
        let sum = if parked == 0 { &mut beside_none } else { &mut beside_many };
        *sum += others(in_memory().await?, parked).await? / 2.0;
    }
    Ok(vec![Measured { what: "", value: beside_many, unit: "calls/s", target: beside_none }])
}

/// As [`others_in_memory`], over Redis.
pub(crate) async fn others_on_redis() -> Result<Vec<Measured>> {
    let server = server();
    let [mut beside_none, mut beside_many] = [0.0; 2];
    for (turn, parked) in [0, PARKED, PARKED, 0].into_iter().enumerate() {
        let sum = if parked == 0 { &mut beside_none } else { &mut beside_many };
        *sum += others(on_redis(&server, &format!("turn-{turn}")).await?, parked).await? / 2.0;
    }
    Ok(vec![Measured { what: "", value: beside_many, unit: "calls/s", target: beside_none }])
}

/// What an idle worker asks of the server in a second, while many are parked.
pub(crate) async fn idle_on_redis() -> Result<Vec<Measured>> {
    let server = server();
    let mut commands = [0.0; 2];
    for (parked, commands) in [0, PARKED].into_iter().zip(&mut commands) {
        let app = on_redis(&server, &format!("idle-{parked}")).await?;
        let runner = with_parked(&app, parked).await?;
        *commands = idle_commands(&server).await;
        runner.shutdown_now().await?;
    }
    let [beside_none, beside_many] = commands;
    let unit = "commands";
    Ok(vec![
        Measured { what: "beside none", value: beside_none, unit, target: 3.0 },
        Measured { what: "beside 10,000", value: beside_many, unit, target: 3.0 },
    ])
}

async fn idle_commands(server: &RedisServer) -> f64 {
    const SECONDS: u32 = 5;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = requests(server);
    tokio::time::sleep(Duration::from_secs(SECONDS.into())).await;
    (requests(server) - before) as f64 / f64::from(SECONDS)
}

/// What clients have asked for: these commands are in no script.
fn requests(server: &RedisServer) -> u64 {
    const ASKED_BY_CLIENTS: [&str; 5] = ["evalsha", "eval", "blpop", "hgetall", "ping"];
    let report = server.command(&["INFO", "commandstats"]);
    let calls = |name: &str| {
        let line = report.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:")))?;
        line.split(['=', ',']).nth(1)?.parse::<u64>().ok()
    };
    ASKED_BY_CLIENTS.iter().filter_map(|name| calls(name)).sum()
}

/// A number of the server's own report.
pub(crate) fn number(server: &RedisServer, section: &str, name: &str) -> u64 {
    let report = server.command(&["INFO", section]);
    let value = report.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
}

/// A server that writes nothing down.
pub(crate) fn server() -> RedisServer {
    let arguments = ["--appendonly", "no"].map(str::to_owned).into();
    RedisServer::start_with(RedisServerOptions { arguments, ..RedisServerOptions::default() })
}

async fn in_memory() -> Result<Pynenc> {
    Pynenc::builder().without_config_file().environment([]).memory().build().await
}

async fn on_redis(server: &RedisServer, app_id: &str) -> Result<Pynenc> {
    let builder = Pynenc::builder().without_config_file().environment([]).app_id(app_id);
    builder.set("redis.start_check", "off").redis(&server.url()).build().await
}
