//! The cost of workflows: a recorded step, a replay, and suspended runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pynenc::prelude::*;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::backend::Backend;
use crate::measurement::Measurement;
use crate::worker_process::resident_bytes;

const STEPS: u64 = 1_000;
const RUNS: u64 = 10_000;

/// Sends measured times from task functions to the benchmark.
type Times = UnboundedSender<Duration>;

/// Records steps one after the other, and sends the time.
#[workflow]
async fn steps(#[inject] wf: Workflow, #[inject] times: State<Times>, count: u64) -> Result<()> {
    wf.step("first", || async { Ok::<_, Error>(()) }).await?;
    let start = Instant::now();
    for n in 0..count {
        wf.step("step", || async { Ok::<_, Error>(n) }).await?;
    }
    times.send(start.elapsed()).map_err(Error::other)
}

/// Fails once after all steps, and sends the time of their replay.
#[workflow(max_retries = 1, backoff = none)]
async fn replayed(
    #[inject] wf: Workflow,
    #[inject] times: State<Times>,
    #[inject] context: TaskContext,
    count: u64,
) -> Result<()> {
    let start = Instant::now();
    for n in 0..count {
        wf.step("step", || async { Ok::<_, Error>(n) }).await?;
    }
    if context.attempt_number() == 1 {
        return Err(Error::other("the first time"));
    }
    times.send(start.elapsed()).map_err(Error::other)
}

/// Sleeps, and counts the runs that have resumed.
#[workflow]
async fn sleeps(#[inject] wf: Workflow, #[inject] resumed: State<Arc<AtomicUsize>>, length: Duration) -> Result<()> {
    wf.sleep(length).await?;
    resumed.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

async fn app(backend: &Backend) -> Result<(Pynenc, UnboundedReceiver<Duration>, Arc<AtomicUsize>)> {
    let ((sender, receiver), resumed) = (unbounded_channel::<Duration>(), Arc::new(AtomicUsize::new(0)));
    let builder =
        backend.builder().tasks(tasks![steps, replayed, sleeps]).state::<Times>(sender).state(resumed.clone());
    // Each run holds its slot until it is suspended.
    let builder = builder.set("workflow.put_aside_after", "20ms").set("runner.concurrency", 1000);
    Ok((builder.build().await?, receiver, resumed))
}

/// Recorded steps per second, and the commands of one step.
pub(crate) async fn recorded(backend: &Backend) -> Result<Vec<Measurement>> {
    let (app, mut times, _) = app(backend).await?;
    let runner = app.start_runner().await?;
    app.submit(steps(10)).await?.result().await?;
    times.recv().await;
    let before = backend.counters();
    app.submit(steps(STEPS)).await?.result().await?;
    let after = backend.counters();
    let took = times.recv().await.unwrap_or_default();
    runner.shutdown().await?;
    let target = backend.target(100_000.0, |reference| 0.5 * reference.round_trips, |bare| 0.5 * bare.single);
    let speed = Measurement { name: "", value: STEPS as f64 / took.as_secs_f64(), unit: "steps/s", target };
    let commands = before.zip(after).map(|(before, after)| Measurement {
        name: "commands",
        value: (after.commands - before.commands) / STEPS as f64,
        unit: "a step",
        target: 1.05,
    });
    Ok([speed].into_iter().chain(commands).collect())
}

/// The time of a replay, from its first operation to its last.
pub(crate) async fn replay(backend: &Backend) -> Result<Vec<Measurement>> {
    let (app, mut times, _) = app(backend).await?;
    let runner = app.start_runner().await?;
    app.submit(replayed(STEPS)).await?.result().await?;
    let took = times.recv().await.unwrap_or_default();
    runner.shutdown().await?;
    Ok(vec![Measurement { name: "of 1,000 steps", value: took.as_secs_f64() * 1e3, unit: "ms", target: 20.0 }])
}

/// The memory of many suspended runs in this process and in the store, and the delay until all have resumed.
pub(crate) async fn suspended_runs(backend: &Backend) -> Result<Vec<Measurement>> {
    let (app, _times, resumed) = app(backend).await?;
    let runner = app.start_runner().await?;
    let (resident, stored) = (own_memory(), backend.counters().map(|counters| counters.memory));
    let length = Duration::from_secs(20);
    let start = Instant::now();
    for _ in 0..RUNS / 500 {
        app.submit_all((0..500).map(|_| sleeps(length))).await?;
    }
    while app.count(Status::Scheduled).await? < RUNS {
        tokio::time::sleep(millis(5)).await;
    }
    let suspended = start.elapsed();
    let of_each = |now: f64, before: f64| (now - before).max(0.0) / RUNS as f64;
    let mut measured = vec![
        Measurement { name: "until put aside", value: suspended.as_secs_f64(), unit: "s", target: 10.0 },
        Measurement {
            name: "in the worker",
            value: of_each(own_memory(), resident),
            unit: "bytes each",
            target: 2000.0,
        },
    ];
    if let Some((now, before)) = backend.counters().map(|counters| counters.memory).zip(stored) {
        measured.push(Measurement {
            name: "in the store",
            value: of_each(now, before),
            unit: "bytes each",
            target: 2000.0,
        });
    }
    while resumed.load(Ordering::Relaxed) < RUNS as usize {
        tokio::time::sleep(millis(5)).await;
    }
    // The last run started its sleep when all were suspended, at the latest.
    let late = start.elapsed().saturating_sub(suspended + length);
    measured.push(Measurement { name: "late", value: late.as_secs_f64(), unit: "s", target: 2.0 });
    runner.shutdown().await?;
    Ok(measured)
}

fn own_memory() -> f64 {
    resident_bytes(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
}
