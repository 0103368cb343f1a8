//! What triggers cost, and how fast they react.

use std::time::{Duration, Instant};

use pynenc::prelude::*;
use pynenc::{PynencBuilder, RunnerHandle};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::figures::Measured;
use crate::place::Place;

#[task]
async fn watched(n: u64) -> u64 {
    n
}

#[task]
async fn unwatched(n: u64) -> u64 {
    n
}

#[task]
async fn began(#[inject] begun: State<UnboundedSender<Instant>>) {
    begun.send(Instant::now()).expect("who measures waits for each");
}

fn builder(place: &Place) -> (PynencBuilder, UnboundedReceiver<Instant>) {
    let (sender, receiver) = unbounded_channel();
    (place.builder().state(sender).tasks(tasks![watched, unwatched, began]), receiver)
}

/// How much longer a backlog takes when a trigger waits for the ends of another task.
pub(crate) async fn unused(place: &Place) -> Result<Vec<Measured>> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    // By turns, because other work on the machine comes and goes.
    for _ in 0..5 {
        without.push(drain(builder(place).0).await?);
        let (with_trigger, _) = builder(place);
        with.push(drain(with_trigger.trigger(on_success::<watched>().then(began()))).await?);
    }
    let more = (median(with).as_secs_f64() / median(without).as_secs_f64() - 1.0) * 100.0;
    Ok(vec![Measured { what: "more time", value: more, unit: "%", target: 2.0 }])
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

/// From an emit, and from the submit of a task that is watched, to the body that follows.
pub(crate) async fn reaction(place: &Place) -> Result<Vec<Measured>> {
    let (builder, mut begun) = builder(place);
    let builder = builder.trigger(on_event::<u64>("n").then(began())).trigger(on_success::<watched>().then(began()));
    let app = builder.build().await?;
    let runner: RunnerHandle = app.start_runner().await?;
    let (mut events, mut ends) = (Vec::new(), Vec::new());
    for n in 0..500u64 {
        let start = Instant::now();
        app.emit_event("n", &n).await?;
        events.extend(begun.recv().await.map(|at| at - start));
        let start = Instant::now();
        app.submit(watched(n)).await?.result().await?;
        ends.extend(begun.recv().await.map(|at| at.saturating_duration_since(start)));
    }
    runner.shutdown().await?;
    let p50 = |what, times| Measured { what, value: median(times).as_secs_f64() * 1e3, unit: "ms", target: 5.0 };
    Ok(vec![p50("event to body p50", events), p50("submit to follow-up p50", ends)])
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
