//! A program with tasks and the command line, for the tests of OpenTelemetry.

use pynenc::prelude::*;
use tracing::Instrument;

#[task]
fn doubles(x: i64) -> i64 {
    x * 2
}

#[task]
async fn calls_another(x: i64) -> Result<i64> {
    async { doubles(x).await }.instrument(tracing::info_span!("own work")).await
}

#[task]
async fn submits_three(#[inject] context: TaskContext) -> Result<()> {
    context.submit_all((0..3).map(doubles)).await?.results().await?;
    Ok(())
}

#[task(max_retries = 1, backoff = none)]
async fn fails_once(#[inject] context: TaskContext) -> Result<String, String> {
    let trace = context.trace().map(|trace| trace.traceparent.to_string());
    if context.attempt_number() == 1 { Err("not yet".to_owned()) } else { Ok(trace.unwrap_or_default()) }
}

#[tokio::main]
async fn main() -> pynenc::Result<()> {
    pynenc::cli::main().await
}
