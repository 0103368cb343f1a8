//! The cost of invocations that are parked behind one key for other calls.

use std::time::{Duration, Instant};

use pynenc::prelude::*;

use crate::backend::Backend;
use crate::measurement::Measurement;
use crate::tasks::{add, holds_slot};

const PARKED: u32 = 10_000;
const OTHERS: u64 = 20_000;

/// Starts a runner and parks this many invocations behind one that holds their slot.
async fn with_parked(app: &Pynenc, parked: u32) -> Result<pynenc::RunnerHandle> {
    let runner = app.start_runner().await?;
    app.submit_all((0..=parked).map(|_| holds_slot())).await?;
    while app.count(Status::ConcurrencyControlled).await? < u64::from(parked) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(runner)
}

/// The throughput of other calls, from the first submit to the last completion.
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

/// Compares the throughput beside many parked invocations with the throughput beside none. Each is measured twice, in
/// the order A B B A, so that neither profits from the order.
pub(crate) async fn others(backend: &Backend) -> Result<Vec<Measurement>> {
    let [mut beside_none, mut beside_many] = [0.0; 2];
    for parked in [0, PARKED, PARKED, 0] {
        let sum = if parked == 0 { &mut beside_none } else { &mut beside_many };
        *sum += throughput(&backend.app().await?, parked).await? / 2.0;
    }
    Ok(vec![Measurement { name: "", value: beside_many, unit: "calls/s", target: beside_none }])
}

/// The commands of an idle worker, with and without parked invocations.
pub(crate) async fn idle(backend: &Backend) -> Result<Vec<Measurement>> {
    let mut measured = Vec::new();
    for (parked, name) in [(0, "beside none"), (PARKED, "beside 10,000")] {
        let app = backend.app().await?;
        let runner = with_parked(&app, parked).await?;
        let [value, _] = backend.idle_commands().await;
        measured.push(Measurement { name, value, unit: "commands a second", target: 3.0 });
        runner.shutdown_now().await?;
    }
    Ok(measured)
}
