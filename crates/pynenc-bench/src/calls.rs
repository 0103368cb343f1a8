//! Benchmarks of plain calls: submit, drain, latency, nested calls, and their cost for the server.

use std::time::{Duration, Instant};

use pynenc::prelude::*;

use crate::backend::Backend;
use crate::measurement::Measurement;
use crate::tasks::{add, fibonacci};

fn per_second(count: usize, elapsed: Duration, target: f64) -> Vec<Measurement> {
    vec![Measurement { name: "", value: count as f64 / elapsed.as_secs_f64(), unit: "calls/s", target }]
}

/// The calls of `submit`.
pub(crate) const SUBMITS: usize = 200_000;
/// The calls of `submit_all`.
pub(crate) const BULK_SUBMITS: usize = 300_000;
/// The calls of `submit_from_many`.
pub(crate) const CONCURRENT_SUBMITS: usize = 192_000;
/// The calls of the shorter `drain`.
pub(crate) const BACKLOG: usize = 20_000;

/// One producer submits calls one after the other.
pub(crate) async fn submit(backend: &Backend) -> Result<Vec<Measurement>> {
    let app = backend.app().await?;
    let start = Instant::now();
    for n in 0..SUBMITS as u64 {
        app.submit(add(n, 1)).await?;
    }
    Ok(per_second(
        SUBMITS,
        start.elapsed(),
        backend.target(500_000.0, |reference| 0.6 * reference.round_trips, |bare| 0.6 * bare.single),
    ))
}

/// Batches of a thousand calls.
pub(crate) async fn submit_all(backend: &Backend) -> Result<Vec<Measurement>> {
    const BATCHES: usize = BULK_SUBMITS / 1000;
    let app = backend.app().await?;
    let start = Instant::now();
    for batch in 0..BATCHES as u64 {
        app.submit_all((0..1000).map(|n| add(n, batch))).await?;
    }
    Ok(per_second(
        BULK_SUBMITS,
        start.elapsed(),
        backend.target(1_000_000.0, |reference| 0.5 * reference.batched, |bare| 0.5 * bare.batches_of_500),
    ))
}

/// 64 producers submit concurrently, each one call after the other.
pub(crate) async fn submit_from_many(backend: &Backend) -> Result<Vec<Measurement>> {
    const PRODUCERS: usize = 64;
    const CALLS: usize = CONCURRENT_SUBMITS / PRODUCERS;
    let app = backend.app().await?;
    let start = Instant::now();
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|_| {
            let app = app.clone();
            tokio::spawn(async move {
                for n in 0..CALLS as u64 {
                    app.submit(add(n, 1)).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .collect();
    for producer in producers {
        producer.await.map_err(Error::other)??;
    }
    Ok(per_second(
        CONCURRENT_SUBMITS,
        start.elapsed(),
        backend.target(500_000.0, |_| 118_000.0, |bare| 0.5 * bare.batches_of_64),
    ))
}

/// One runner with 64 slots processes a backlog.
pub(crate) async fn drain(backend: &Backend, backlog: usize) -> Result<Vec<Measurement>> {
    let app = backend.app().await?;
    for batch in 0..(backlog / 1000) as u64 {
        app.submit_all((0..1000).map(|n| add(n, batch))).await?;
    }
    let before = backend.counters();
    let start = Instant::now();
    let runner = app.start_runner().await?;
    while app.count(Status::Success).await? < backlog as u64 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let elapsed = start.elapsed();
    let mut measured = per_second(backlog, elapsed, backend.target(250_000.0, |_| 45_000.0, |bare| 0.4 * bare.drain));
    if let (Some(before), Some(after)) = (before, backend.counters()) {
        let value = (after.commands - before.commands) / backlog as f64;
        measured.push(Measurement { name: "commands a task", value, unit: "commands", target: 0.5 });
    }
    runner.shutdown().await?;
    Ok(measured)
}

/// The time from submit to result on an idle runner.
pub(crate) async fn latency(backend: &Backend) -> Result<Vec<Measurement>> {
    const CALLS: usize = 20_000;
    let app = backend.app().await?;
    let runner = app.start_runner().await?;
    let mut times = Vec::with_capacity(CALLS);
    for n in 0..CALLS as u64 {
        let start = Instant::now();
        app.submit(add(n, 1)).await?.result().await?;
        times.push(start.elapsed());
    }
    runner.shutdown().await?;
    times.sort_unstable();
    let at = |name, share: usize, target| Measurement {
        name,
        value: times[CALLS * share / 1000].as_secs_f64() * 1e6,
        unit: "µs",
        target,
    };
    let p50 = backend.target(20.0, |reference| 8e6 / reference.round_trips, |_| 500.0);
    Ok(vec![at("p50", 500, p50), at("p99", 990, backend.target(100.0, |_| 1000.0, |_| 2000.0))])
}

/// 21,891 nested invocations, one after the other.
pub(crate) async fn nested(backend: &Backend) -> Result<Vec<Measurement>> {
    let app = backend.app().await?;
    let runner = app.start_runner().await?;
    let start = Instant::now();
    app.submit(fibonacci(20)).await?.result().await?;
    let elapsed = start.elapsed();
    runner.shutdown().await?;
    let target = backend.target(0.5, |reference| 21_891.0 * 8.0 / reference.round_trips, |_| 6.0);
    Ok(vec![Measurement { name: "", value: elapsed.as_secs_f64(), unit: "s", target }])
}

/// The bytes that the store needs for each queued and each finished invocation.
pub(crate) async fn bytes(backend: &Backend) -> Result<Vec<Measurement>> {
    const CALLS: usize = 20_000;
    let app = backend.app().await?;
    app.submit(add(0, 0)).await?;
    let empty = backend.stored_bytes();
    for batch in 0..(CALLS / 1000) as u64 {
        app.submit_all((0..1000).map(|n| add(n, batch))).await?;
    }
    let queued = (backend.stored_bytes() - empty) / CALLS as f64;
    let runner = app.start_runner().await?;
    while app.count(Status::Success).await? < CALLS as u64 + 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    runner.shutdown().await?;
    let finished = (backend.stored_bytes() - empty) / CALLS as f64;
    let measured = |name, value, target| Measurement { name, value, unit: "bytes", target };
    Ok(vec![measured("queued", queued, 600.0), measured("finished", finished, 650.0)])
}

/// The commands and bytes of a call that is awaited before the next.
pub(crate) async fn round_trips(backend: &Backend) -> Result<Vec<Measurement>> {
    const CALLS: u64 = 2_000;
    let app = backend.app().await?;
    let runner = app.start_runner().await?;
    app.submit(add(0, 0)).await?.result().await?;
    let commands = || backend.counters().map_or(0.0, |counters| counters.commands);
    let (before, [sent, given]) = (commands(), backend.traffic());
    for n in 0..CALLS {
        app.submit(add(n, 1)).await?.result().await?;
    }
    let (after, [sent_then, given_then]) = (commands(), backend.traffic());
    runner.shutdown().await?;
    let each = |name, value: f64, unit, target| Measurement { name, value: value / CALLS as f64, unit, target };
    Ok(vec![
        each("commands", after - before, "a call", 5.0),
        each("to the server", sent_then - sent, "bytes a call", 1500.0),
        each("from the server", given_then - given, "bytes a call", 1500.0),
    ])
}

/// The commands of a runner without work.
pub(crate) async fn idle(backend: &Backend) -> Result<Vec<Measurement>> {
    let app = backend.app().await?;
    let runner = app.start_runner().await?;
    let [sent, all] = backend.idle_commands().await;
    runner.shutdown().await?;
    let measured = |name, value, target| Measurement { name, value, unit: "commands a second", target };
    Ok(vec![measured("", sent, 3.0), measured("with scripts' own", all, 6.0)])
}
