//! How do I submit tasks, run them and read their results? This app keeps everything in the memory of one process.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p quickstart
//! ```

use std::time::Instant;

use pynenc::prelude::*;
use quickstart::{add, divide, forecast, remind, square};

#[tokio::main]
async fn main() -> Result<()> {
    let app = Pynenc::new().await?;
    let runner = app.start_runner().await?;

    one_call(&app).await?;
    a_batch(&app).await?;
    a_typed_error(&app).await?;
    a_retry(&app).await?;
    a_delay(&app).await?;

    runner.shutdown().await
}

/// Submits a call and waits for its result.
async fn one_call(app: &Pynenc) -> Result<()> {
    let invocation = app.submit(add(2, 3)).await?;
    say("one call", &format!("add(2, 3) = {}", invocation.result().await?));
    Ok(())
}

/// Submits eight calls at once and waits for all results, in the order of the calls.
async fn a_batch(app: &Pynenc) -> Result<()> {
    let squares = app.submit_all((1..=8).map(square)).await?.results().await?;
    say("a batch", &format!("the squares of 1 to 8 are {squares:?}"));
    Ok(())
}

/// Reads the error of a failed task.
async fn a_typed_error(app: &Pynenc) -> Result<()> {
    match app.submit(divide(1, 0)).await?.result().await {
        Err(Error::TaskFailed(error)) => say("a typed error", &format!("{}: {}", error.kind, error.message)),
        other => say("a typed error", &format!("expected an error, got {other:?}")),
    }
    Ok(())
}

/// Shows the history of an invocation that succeeds in its third attempt.
async fn a_retry(app: &Pynenc) -> Result<()> {
    let invocation = app.submit(forecast("Granada".to_owned())).await?;
    say("a retry", &format!("forecast = {:?}, after these steps", invocation.result().await?));
    for line in invocation.history().await? {
        let detail = line.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
        say("", &format!("  {:<10} {}{detail}", line.status, line.reason));
    }
    Ok(())
}

/// Submits a call that runs no earlier than one second from now.
async fn a_delay(app: &Pynenc) -> Result<()> {
    let submitted = Instant::now();
    let invocation = app.submit(remind("milk".to_owned()).delay(secs(1))).await?;
    say("a delay", &format!("{} now", invocation.status().await?));
    let reminder = invocation.result().await?;
    say("", &format!("{reminder:?} after {:.1}s", submitted.elapsed().as_secs_f64()));
    Ok(())
}

fn say(topic: &str, text: &str) {
    println!("{topic:<14} {text}");
}
