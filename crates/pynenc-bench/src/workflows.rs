//! What workflows cost: a recorded step, a replay, and those that are asleep.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pynenc::prelude::*;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::figures::Measured;
use crate::place::Place;
use crate::worker_process::resident_bytes;

const STEPS: u64 = 1_000;
const SLEEPERS: u64 = 10_000;

/// What bodies tell: how long something took.
type Told = UnboundedSender<Duration>;

/// Records steps one after the other, and tells how long they took.
#[workflow]
async fn steps(#[inject] wf: Workflow, #[inject] told: State<Told>, count: u64) -> Result<()> {
    wf.step("first", || async { Ok::<_, Error>(()) }).await?;
    let start = Instant::now();
    for n in 0..count {
        wf.step("step", || async { Ok::<_, Error>(n) }).await?;
    }
    told.send(start.elapsed()).map_err(Error::other)
}

/// Fails once with so many steps behind it, and tells how long it took to come there again.
#[workflow(max_retries = 1, backoff = none)]
async fn replayed(
    #[inject] wf: Workflow,
    #[inject] told: State<Told>,
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
    told.send(start.elapsed()).map_err(Error::other)
}

/// Sleeps until all of them have, and counts those that woke.
#[workflow]
async fn sleeper(#[inject] wf: Workflow, #[inject] awake: State<Arc<AtomicUsize>>, length: Duration) -> Result<()> {
    wf.sleep(length).await?;
    awake.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

async fn app(place: &Place) -> Result<(Pynenc, UnboundedReceiver<Duration>, Arc<AtomicUsize>)> {
    let ((sender, receiver), awake) = (unbounded_channel::<Duration>(), Arc::new(AtomicUsize::new(0)));
    let builder = place.builder().tasks(tasks![steps, replayed, sleeper]).state::<Told>(sender).state(awake.clone());
    // Each holds its slot until it is put aside.
    let builder = builder.set("workflow.put_aside_after", "20ms").set("runner.concurrency", 1000);
    Ok((builder.build().await?, receiver, awake))
}

/// A step that is recorded: how many in a second, and the commands that one takes.
pub(crate) async fn recorded(place: &Place) -> Result<Vec<Measured>> {
    let (app, mut told, _) = app(place).await?;
    let runner = app.start_runner().await?;
    app.submit(steps(10)).await?.result().await?;
    told.recv().await;
    let before = place.counters();
    app.submit(steps(STEPS)).await?.result().await?;
    let after = place.counters();
    let took = told.recv().await.unwrap_or_default();
    runner.shutdown().await?;
    let target = place.target(100_000.0, |reference| 0.5 * reference.round_trips);
    let speed = Measured { what: "", value: STEPS as f64 / took.as_secs_f64(), unit: "steps/s", target };
    let commands = before.zip(after).map(|(before, after)| Measured {
        what: "commands",
        value: (after.commands - before.commands) / STEPS as f64,
        unit: "a step",
        target: 1.05,
    });
    Ok([speed].into_iter().chain(commands).collect())
}

/// A body that comes again to where it was: the time of it, from its first operation to its last.
pub(crate) async fn replay(place: &Place) -> Result<Vec<Measured>> {
    let (app, mut told, _) = app(place).await?;
    let runner = app.start_runner().await?;
    app.submit(replayed(STEPS)).await?.result().await?;
    let took = told.recv().await.unwrap_or_default();
    runner.shutdown().await?;
    Ok(vec![Measured { what: "of 1,000 steps", value: took.as_secs_f64() * 1e3, unit: "ms", target: 20.0 }])
}

/// What many that are asleep take: in this process, in the store, and until all of them are awake.
pub(crate) async fn asleep(place: &Place) -> Result<Vec<Measured>> {
    let (app, _told, awake) = app(place).await?;
    let runner = app.start_runner().await?;
    let (resident, stored) = (own_memory(), place.counters().map(|counters| counters.memory));
    let length = Duration::from_secs(20);
    let start = Instant::now();
    for _ in 0..SLEEPERS / 500 {
        app.submit_all((0..500).map(|_| sleeper(length))).await?;
    }
    while app.count(Status::Scheduled).await? < SLEEPERS {
        tokio::time::sleep(millis(5)).await;
    }
    let aside = start.elapsed();
    let of_each = |now: f64, before: f64| (now - before).max(0.0) / SLEEPERS as f64;
    let mut measured = vec![
        Measured { what: "until put aside", value: aside.as_secs_f64(), unit: "s", target: 10.0 },
        Measured { what: "in the worker", value: of_each(own_memory(), resident), unit: "bytes each", target: 2000.0 },
    ];
    if let Some((now, before)) = place.counters().map(|counters| counters.memory).zip(stored) {
        measured.push(Measured {
            what: "in the store",
            value: of_each(now, before),
            unit: "bytes each",
            target: 2000.0,
        });
    }
    while awake.load(Ordering::Relaxed) < SLEEPERS as usize {
        tokio::time::sleep(millis(5)).await;
    }
    // The last of them fell asleep when all were put aside, at the latest.
    let late = start.elapsed().saturating_sub(aside + length);
    measured.push(Measured { what: "late", value: late.as_secs_f64(), unit: "s", target: 2.0 });
    runner.shutdown().await?;
    Ok(measured)
}

fn own_memory() -> f64 {
    resident_bytes(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
}
