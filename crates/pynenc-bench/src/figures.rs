//! What is measured.

use std::pin::Pin;
use std::time::{Duration, Instant};

use pynenc::prelude::*;

use crate::{parked, shared_argument};

/// A figure, or several that one run gives.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) backend: &'static str,
    /// The threads of the runtime it runs on.
    pub(crate) threads: usize,
    pub(crate) run: fn() -> Run,
}

type Run = Pin<Box<dyn Future<Output = Result<Vec<Measured>>>>>;

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
    Figure { name: "submit", backend: "memory", threads: 2, run: || Box::pin(submit()) },
    Figure { name: "submit_all", backend: "memory", threads: 2, run: || Box::pin(submit_all()) },
    Figure { name: "submit_64_producers", backend: "memory", threads: 2, run: || Box::pin(submit_from_many()) },
    Figure { name: "drain", backend: "memory", threads: 2, run: || Box::pin(drain(20_000)) },
    Figure { name: "drain_large_backlog", backend: "memory", threads: 2, run: || Box::pin(drain(1_000_000)) },
    Figure { name: "latency", backend: "memory", threads: 1, run: || Box::pin(latency()) },
    Figure { name: "fibonacci", backend: "memory", threads: 1, run: || Box::pin(nested()) },
    Figure { name: "beside_parked", backend: "memory", threads: 2, run: || Box::pin(parked::others_in_memory()) },
    Figure { name: "beside_parked_redis", backend: "redis", threads: 2, run: || Box::pin(parked::others_on_redis()) },
    Figure { name: "idle_redis", backend: "redis", threads: 2, run: || Box::pin(parked::idle_on_redis()) },
    Figure { name: "shared_argument", backend: "redis", threads: 2, run: || Box::pin(shared_argument::on_redis()) },
    Figure {
        name: "serialized",
        backend: "memory",
        threads: 1,
        run: || Box::pin(async { shared_argument::serialized() }),
    },
];

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

async fn app() -> Result<Pynenc> {
    Pynenc::builder().without_config_file().environment([]).memory().build().await
}

fn per_second(count: usize, elapsed: Duration, target: f64) -> Vec<Measured> {
    vec![Measured { what: "", value: count as f64 / elapsed.as_secs_f64(), unit: "calls/s", target }]
}

/// One producer, one call after the other.
async fn submit() -> Result<Vec<Measured>> {
    const CALLS: usize = 200_000;
    let app = app().await?;
    let start = Instant::now();
    for n in 0..CALLS as u64 {
        app.submit(add(n, 1)).await?;
    }
    Ok(per_second(CALLS, start.elapsed(), 500_000.0))
}

/// Batches of a thousand.
async fn submit_all() -> Result<Vec<Measured>> {
    const BATCHES: usize = 300;
    let app = app().await?;
    let start = Instant::now();
    for batch in 0..BATCHES as u64 {
        app.submit_all((0..1000).map(|n| add(n, batch))).await?;
    }
    Ok(per_second(BATCHES * 1000, start.elapsed(), 1_000_000.0))
}

/// Many producers at once, one call after the other each.
async fn submit_from_many() -> Result<Vec<Measured>> {
    const PRODUCERS: usize = 64;
    const CALLS: usize = 3_000;
    let app = app().await?;
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
    Ok(per_second(PRODUCERS * CALLS, start.elapsed(), 500_000.0))
}

/// A backlog, worked off by one runner with 64 slots, with status, history and results.
async fn drain(backlog: usize) -> Result<Vec<Measured>> {
    let app = app().await?;
    for batch in 0..(backlog / 1000) as u64 {
        app.submit_all((0..1000).map(|n| add(n, batch))).await?;
    }
    let start = Instant::now();
    let runner = app.start_runner().await?;
    while app.count(Status::Success).await? < backlog as u64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let elapsed = start.elapsed();
    runner.shutdown().await?;
    Ok(per_second(backlog, elapsed, 250_000.0))
}

/// From the submit to the value, on an idle runner.
async fn latency() -> Result<Vec<Measured>> {
    const CALLS: usize = 20_000;
    let app = app().await?;
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
    Ok(vec![at("p50", 500, 20.0), at("p99", 990, 100.0)])
}

/// 21,891 nested invocations, one after the other.
async fn nested() -> Result<Vec<Measured>> {
    let app = app().await?;
    let runner = app.start_runner().await?;
    let start = Instant::now();
    app.submit(fibonacci(20)).await?.result().await?;
    let elapsed = start.elapsed();
    runner.shutdown().await?;
    Ok(vec![Measured { what: "", value: elapsed.as_secs_f64(), unit: "s", target: 0.5 }])
}
