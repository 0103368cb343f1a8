//! The overhead of triggers, and their reaction time.

use std::time::{Duration, Instant};

use pynenc::prelude::*;
use pynenc::{PynencBuilder, RunnerHandle};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::backend::Backend;
use crate::measurement::Measurement;
use crate::statistics::median;

#[task]
async fn watched(n: u64) -> u64 {
    n
}

#[task]
async fn unwatched(n: u64) -> u64 {
    n
}

#[task]
async fn records_start(#[inject] started: State<UnboundedSender<Instant>>) {
    started.send(Instant::now()).expect("the benchmark receives every start");
}

fn builder(backend: &Backend) -> (PynencBuilder, UnboundedReceiver<Instant>) {
    let (sender, receiver) = unbounded_channel();
    (backend.builder().state(sender).tasks(tasks![watched, unwatched, records_start]), receiver)
}

/// The additional time for a backlog when a trigger watches another task.
pub(crate) async fn unused(backend: &Backend) -> Result<Vec<Measurement>> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    // Measures in turns, because other load on the machine varies.
    for _ in 0..5 {
        without.push(drain(builder(backend).0).await?);
        let (with_trigger, _) = builder(backend);
        with.push(drain(with_trigger.trigger(on_success::<watched>().then(records_start()))).await?);
    }
    let more = (median(with).as_secs_f64() / median(without).as_secs_f64() - 1.0) * 100.0;
    Ok(vec![Measurement { name: "more time", value: more, unit: "%", target: 2.0 }])
}

async fn drain(builder: PynencBuilder) -> Result<Duration> {
    const BACKLOG: u64 = 10_000;
    let app = builder.build().await?;
    for batch in 0..BACKLOG / 500 {
        app.submit_all((0..500).map(|n| unwatched(batch * 500 + n))).await?;
    }
    let start = Instant::now();
    let runner = app.start_runner().await?;
    while app.count(Status::Success).await? < BACKLOG {
        tokio::time::sleep(millis(5)).await;
    }
    let elapsed = start.elapsed();
    runner.shutdown().await?;
    Ok(elapsed)
}

/// The time from an event, and from the submit of a watched task, to the start of the triggered task function.
pub(crate) async fn reaction(backend: &Backend) -> Result<Vec<Measurement>> {
    let (builder, mut started) = builder(backend);
    let builder = builder
        .trigger(on_event::<u64>("n").then(records_start()))
        .trigger(on_success::<watched>().then(records_start()));
    let app = builder.build().await?;
    let runner: RunnerHandle = app.start_runner().await?;
    let (mut events, mut completions) = (Vec::new(), Vec::new());
    for n in 0..500u64 {
        let start = Instant::now();
        app.emit_event("n", &n).await?;
        events.extend(started.recv().await.map(|at| at - start));
        let start = Instant::now();
        app.submit(watched(n)).await?.result().await?;
        completions.extend(started.recv().await.map(|at| at.saturating_duration_since(start)));
    }
    runner.shutdown().await?;
    let p50 = |name, times: Vec<Duration>| Measurement {
        name,
        value: median(times).as_secs_f64() * 1e3,
        unit: "ms",
        target: 5.0,
    };
    Ok(vec![p50("event to body p50", events), p50("submit to follow-up p50", completions)])
}
