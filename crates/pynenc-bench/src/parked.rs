//! What invocations that are parked behind one key cost everybody else.

use std::time::{Duration, Instant};

use pynenc::prelude::*;

use crate::figures::{Measured, add, idle_commands};
use crate::place::Place;

const PARKED: u32 = 10_000;
const OTHERS: u64 = 20_000;

#[task(running_concurrency = task, reroute_on_concurrency_control)]
pub(crate) async fn holds_on(#[inject] _context: TaskContext) {
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
async fn throughput(app: &Pynenc, parked: u32) -> Result<f64> {
    let runner = with_parked(app, parked).await?;
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
pub(crate) async fn others(place: &Place) -> Result<Vec<Measured>> {
    let [mut beside_none, mut beside_many] = [0.0; 2];
    for parked in [0, PARKED, PARKED, 0] {
        let sum = if parked == 0 { &mut beside_none } else { &mut beside_many };
        *sum += throughput(&place.app().await?, parked).await? / 2.0;
    }
    Ok(vec![Measured { what: "", value: beside_many, unit: "calls/s", target: beside_none }])
}

/// What an idle worker asks of its server in a second, while nobody and while many are parked.
pub(crate) async fn idle(place: &Place) -> Result<Vec<Measured>> {
    let mut measured = Vec::new();
    for (parked, what) in [(0, "beside none"), (PARKED, "beside 10,000")] {
        let app = place.app().await?;
        let runner = with_parked(&app, parked).await?;
        let value = idle_commands(place).await;
        measured.push(Measured { what, value, unit: "commands a second", target: 3.0 });
        runner.shutdown_now().await?;
    }
    Ok(measured)
}
