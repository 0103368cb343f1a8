//! A program with tasks and the command line, for the tests of the command line.

use pynenc::prelude::*;

#[task]
async fn add(x: i64, y: i64) -> i64 {
    tracing::info!(x, "adding");
    x + y
}

#[task(max_retries = 1, backoff = none)]
async fn fails(why: String) -> Result<(), String> {
    Err(why)
}

#[task(running_concurrency = task, reroute_on_concurrency_control = true)]
async fn stays() {
    std::future::pending::<()>().await;
}

#[task(triggers = on_event::<serde_json::Value>("greeted"))]
async fn greets() {}

#[task(triggers = on_cron("0 0 13 * 5").timezone("Europe/Madrid"))]
async fn reports() {}

#[workflow]
async fn counts(#[inject] wf: Workflow, n: u32) -> Result<u32> {
    let sum = wf.execute(add(i64::from(n), 1)).await?;
    wf.step("double", || async move { Ok::<_, String>(sum * 2) }).await?;
    Ok(n)
}

#[tokio::main]
async fn main() -> pynenc::Result<()> {
    pynenc::cli::main().await
}
