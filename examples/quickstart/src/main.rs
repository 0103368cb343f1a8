//! How do I submit tasks, run them and read their results? This app keeps everything in the memory of one process, or in
//! a SQLite file. With a file you can kill the program at any point: run again, it goes on where it was.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p quickstart
//! cargo run -p quickstart --features sqlite -- --store jobs.db
//! ```

mod store;

use std::time::Instant;

use pynenc::prelude::*;
use quickstart::{add, divide, forecast, remind, square};

#[tokio::main]
async fn main() -> Result<()> {
    let app = store::chosen().build().await?;
    let runner = app.start_runner().await?;

    one_call(&app).await?;
    a_batch(&app).await?;
    a_typed_error(&app).await?;
    a_retry(&app).await?;
    a_delay(&app).await?;

    runner.shutdown().await
}

/// Submits a call and waits for its result. A call that is submitted again with its idempotency key, as by the next run
/// of this program, gets the invocation that exists.
async fn one_call(app: &Pynenc) -> Result<()> {
    let invocation = app.submit(add(2, 3).idempotency_key("sum")).await?;
    say("one call", &format!("add(2, 3) = {}{}", invocation.result().await?, origin(&invocation)));
    Ok(())
}

/// Submits eight calls at once and waits for all results, in the order of the calls.
async fn a_batch(app: &Pynenc) -> Result<()> {
    let calls = (1..=8).map(|n| square(n).idempotency_key(format!("square {n}")));
    let squares = app.submit_all(calls).await?;
    let origin = origin(&squares.invocations()[0]);
    say("a batch", &format!("the squares of 1 to 8 are {:?}{origin}", squares.results().await?));
    Ok(())
}

/// Reads the error of a failed task.
async fn a_typed_error(app: &Pynenc) -> Result<()> {
    let invocation = app.submit(divide(1, 0).idempotency_key("quotient")).await?;
    match invocation.result().await {
        Err(Error::TaskFailed(error)) => {
            say("a typed error", &format!("{}: {}{}", error.kind, error.message, origin(&invocation)));
        }
        other => say("a typed error", &format!("expected an error, got {other:?}")),
    }
    Ok(())
}

/// Shows the history of an invocation that succeeds in its third attempt.
async fn a_retry(app: &Pynenc) -> Result<()> {
    let invocation = app.submit(forecast("Granada".to_owned()).idempotency_key("forecast")).await?;
    let forecast = invocation.result().await?;
    say("a retry", &format!("forecast = {forecast:?}, after these steps{}", origin(&invocation)));
    for line in invocation.history().await? {
        let detail = line.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
        say("", &format!("  {:<10} {}{detail}", line.status, line.reason));
    }
    Ok(())
}

/// Submits a call that runs no earlier than one second from now.
async fn a_delay(app: &Pynenc) -> Result<()> {
    let submitted = Instant::now();
    let invocation = app.submit(remind("milk".to_owned()).delay(secs(1)).idempotency_key("reminder")).await?;
    say("a delay", &format!("{} now{}", invocation.status().await?, origin(&invocation)));
    let reminder = invocation.result().await?;
    say("", &format!("{reminder:?} after {:.1}s", submitted.elapsed().as_secs_f64()));
    Ok(())
}

/// Says whether an earlier run has submitted the invocation. Only a file outlives a run.
fn origin<T: Task>(invocation: &Invocation<T>) -> &'static str {
    if invocation.is_reused() { " (submitted by an earlier run)" } else { "" }
}

fn say(topic: &str, text: &str) {
    println!("{topic:<14} {text}");
}
