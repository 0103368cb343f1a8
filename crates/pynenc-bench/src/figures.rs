//! What is measured.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pynenc::prelude::*;

use crate::parked;
use crate::place::Place;
use crate::shared_argument;
use crate::triggers;
use crate::worker_process;
use crate::workflows;

/// A figure, or several that one run gives.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    /// The threads of the runtime it runs on.
    pub(crate) threads: usize,
    pub(crate) run: fn(Arc<Place>) -> Run,
    /// Whether it is measured in a place.
    pub(crate) applies: fn(&Place) -> bool,
}

type Run = Pin<Box<dyn Future<Output = Result<Vec<Measured>>> + Send>>;

fn everywhere(_: &Place) -> bool {
    true
}

fn on_redis(place: &Place) -> bool {
    matches!(place, Place::Redis(..))
}

/// One number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// Which of the figure's numbers.
    pub(crate) what: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) target: f64,
}

/// Every figure, in the order of the table.
pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        name: "submit",
        threads: 1,
        run: |place| Box::pin(async move { submit(&place).await }),
        applies: everywhere,
    },
    Figure {
        name: "submit_all",
        threads: 2,
        run: |place| Box::pin(async move { submit_all(&place).await }),
        applies: everywhere,
    },
    Figure {
        name: "submit_64_producers",
        threads: 2,
        run: |place| Box::pin(async move { submit_from_many(&place).await }),
        applies: everywhere,
    },
    Figure {
        name: "drain",
        threads: 2,
        run: |place| Box::pin(async move { drain(&place, 20_000).await }),
        applies: everywhere,
    },
    Figure {
        name: "drain_large_backlog",
        threads: 2,
        run: |place| Box::pin(async move { drain(&place, 1_000_000).await }),
        applies: everywhere,
    },
    Figure {
        name: "latency",
        threads: 1,
        run: |place| Box::pin(async move { latency(&place).await }),
        applies: everywhere,
    },
    Figure {
        name: "fibonacci",
        threads: 1,
        run: |place| Box::pin(async move { nested(&place).await }),
        applies: everywhere,
    },
    Figure { name: "bytes", threads: 1, run: |place| Box::pin(async move { bytes(&place).await }), applies: on_redis },
    Figure { name: "trips", threads: 2, run: |place| Box::pin(async move { trips(&place).await }), applies: on_redis },
    Figure {
        name: "worker",
        threads: 2,
        run: |place| Box::pin(async move { worker_process::resources(&place).await }),
        applies: on_redis,
    },
    Figure { name: "idle", threads: 1, run: |place| Box::pin(async move { idle(&place).await }), applies: on_redis },
    Figure {
        name: "beside_parked",
        threads: 2,
        run: |place| Box::pin(async move { parked::others(&place).await }),
        applies: everywhere,
    },
    Figure {
        name: "idle_beside_parked",
        threads: 2,
        run: |place| Box::pin(async move { parked::idle(&place).await }),
        applies: on_redis,
    },
    Figure {
        name: "unused_triggers",
        threads: 2,
        run: |place| Box::pin(async move { triggers::unused(&place).await }),
        applies: everywhere,
    },
    Figure {
        name: "reaction",
        threads: 2,
        run: |place| Box::pin(async move { triggers::reaction(&place).await }),
        applies: on_redis,
    },
    Figure {
        name: "workflow_step",
        threads: 2,
        run: |place| Box::pin(async move { workflows::recorded(&place).await }),
        applies: everywhere,
    },
    Figure {
        name: "workflow_replay",
        threads: 2,
        run: |place| Box::pin(async move { workflows::replay(&place).await }),
        applies: everywhere,
    },
    Figure {
        name: "workflows_asleep",
        threads: 2,
        run: |place| Box::pin(async move { workflows::asleep(&place).await }),
        applies: everywhere,
    },
    Figure {
        name: "shared_argument",
        threads: 2,
        run: |place| Box::pin(async move { shared_argument::shared(&place).await }),
        applies: on_redis,
    },
    Figure {
        name: "serialized",
        threads: 1,
        run: |_| Box::pin(async { shared_argument::serialized() }),
        applies: |place| !on_redis(place),
    },
];

/// The tasks of the figures that need no state.
pub(crate) fn tasks() -> [&'static pynenc::engine::TaskDefinition; 3] {
    tasks![add, fibonacci, parked::holds_on]
}

#[task]
pub(crate) async fn add(x: u64, y: u64) -> u64 {
    x + y
}

#[task]
async fn fibonacci(n: u64) -> Result<u64> {
    if n < 2 {
        return Ok(n);
    }
    Ok(fibonacci(n - 1).await? + fibonacci(n - 2).await?)
}

fn per_second(count: usize, elapsed: Duration, target: f64) -> Vec<Measured> {
    vec![Measured { what: "", value: count as f64 / elapsed.as_secs_f64(), unit: "calls/s", target }]
}

/// One producer, one call after the other.
async fn submit(place: &Place) -> Result<Vec<Measured>> {
    const CALLS: usize = 200_000;
    let app = place.app().await?;
    let start = Instant::now();
    for n in 0..CALLS as u64 {
        app.submit(add(n, 1)).await?;
    }
    Ok(per_second(CALLS, start.elapsed(), place.target(500_000.0, |reference| 0.6 * reference.round_trips)))
}

/// Batches of a thousand.
async fn submit_all(place: &Place) -> Result<Vec<Measured>> {
    const BATCHES: usize = 300;
    let app = place.app().await?;
    let start = Instant::now();
    for batch in 0..BATCHES as u64 {
        app.submit_all((0..1000).map(|n| add(n, batch))).await?;
    }
    Ok(per_second(BATCHES * 1000, start.elapsed(), place.target(1_000_000.0, |reference| 0.5 * reference.batched)))
}

/// Many producers at once, one call after the other each.
async fn submit_from_many(place: &Place) -> Result<Vec<Measured>> {
    const PRODUCERS: usize = 64;
    const CALLS: usize = 3_000;
    let app = place.app().await?;
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
    Ok(per_second(PRODUCERS * CALLS, start.elapsed(), place.target(500_000.0, |_| 118_000.0)))
}

/// A backlog, worked off by one runner with 64 slots, with status, history and results.
async fn drain(place: &Place, backlog: usize) -> Result<Vec<Measured>> {
    let app = place.app().await?;
    for batch in 0..(backlog / 1000) as u64 {
        app.submit_all((0..1000).map(|n| add(n, batch))).await?;
    }
    let before = place.counters();
    let start = Instant::now();
    let runner = app.start_runner().await?;
    while app.count(Status::Success).await? < backlog as u64 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let elapsed = start.elapsed();
    let mut measured = per_second(backlog, elapsed, place.target(250_000.0, |_| 45_000.0));
    if let (Some(before), Some(after)) = (before, place.counters()) {
        let value = (after.commands - before.commands) / backlog as f64;
        measured.push(Measured { what: "commands a task", value, unit: "commands", target: 0.5 });
    }
    runner.shutdown().await?;
    Ok(measured)
}

/// From the submit to the value, on an idle runner.
async fn latency(place: &Place) -> Result<Vec<Measured>> {
    const CALLS: usize = 20_000;
    let app = place.app().await?;
    let runner = app.start_runner().await?;
    let mut times = Vec::with_capacity(CALLS);
    for n in 0..CALLS as u64 {
        let start = Instant::now();
        app.submit(add(n, 1)).await?.result().await?;
        times.push(start.elapsed());
    }
    runner.shutdown().await?;
    times.sort_unstable();
    let at = |what, share: usize, target| Measured {
        what,
        value: times[CALLS * share / 1000].as_secs_f64() * 1e6,
        unit: "µs",
        target,
    };
    let p50 = place.target(20.0, |reference| 8e6 / reference.round_trips);
    Ok(vec![at("p50", 500, p50), at("p99", 990, place.target(100.0, |_| 1000.0))])
}

/// 21,891 nested invocations, one after the other.
async fn nested(place: &Place) -> Result<Vec<Measured>> {
    let app = place.app().await?;
    let runner = app.start_runner().await?;
    let start = Instant::now();
    app.submit(fibonacci(20)).await?.result().await?;
    let elapsed = start.elapsed();
    runner.shutdown().await?;
    let target = place.target(0.5, |reference| 21_891.0 * 8.0 / reference.round_trips);
    Ok(vec![Measured { what: "", value: elapsed.as_secs_f64(), unit: "s", target }])
}

/// What a server keeps of an invocation.
async fn bytes(place: &Place) -> Result<Vec<Measured>> {
    const CALLS: usize = 20_000;
    let app = place.app().await?;
    app.submit(add(0, 0)).await?;
    let memory = || place.counters().map_or(0.0, |counters| counters.memory);
    let empty = memory();
    for batch in 0..(CALLS / 1000) as u64 {
        app.submit_all((0..1000).map(|n| add(n, batch))).await?;
    }
    let queued = (memory() - empty) / CALLS as f64;
    let runner = app.start_runner().await?;
    while app.count(Status::Success).await? < CALLS as u64 + 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    runner.shutdown().await?;
    let finished = (memory() - empty) / CALLS as f64;
    let measured = |what, value, target| Measured { what, value, unit: "bytes", target };
    Ok(vec![measured("queued", queued, 600.0), measured("finished", finished, 1000.0)])
}

/// What calls that are waited for one by one ask of the server.
async fn trips(place: &Place) -> Result<Vec<Measured>> {
    const CALLS: u64 = 2_000;
    let app = place.app().await?;
    let runner = app.start_runner().await?;
    app.submit(add(0, 0)).await?.result().await?;
    let commands = || place.counters().map_or(0.0, |counters| counters.commands);
    let (before, [sent, given]) = (commands(), place.traffic());
    for n in 0..CALLS {
        app.submit(add(n, 1)).await?.result().await?;
    }
    let (after, [sent_then, given_then]) = (commands(), place.traffic());
    runner.shutdown().await?;
    let each = |what, value: f64, unit, target| Measured { what, value: value / CALLS as f64, unit, target };
    Ok(vec![
        each("commands", after - before, "a call", 5.0),
        each("to the server", sent_then - sent, "bytes a call", 1500.0),
        each("from the server", given_then - given, "bytes a call", 1500.0),
    ])
}

/// What a runner without work asks of its server.
async fn idle(place: &Place) -> Result<Vec<Measured>> {
    let app = place.app().await?;
    let runner = app.start_runner().await?;
    let value = idle_commands(place).await;
    runner.shutdown().await?;
    Ok(vec![Measured { what: "", value, unit: "commands a second", target: 3.0 }])
}

/// The commands of a second, over ten, once all has come to rest.
pub(crate) async fn idle_commands(place: &Place) -> f64 {
    const LENGTH: Duration = Duration::from_secs(10);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let commands = || place.counters().map_or(0.0, |counters| counters.commands);
    let before = commands();
    tokio::time::sleep(LENGTH).await;
    (commands() - before) / LENGTH.as_secs_f64()
}
