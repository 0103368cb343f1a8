//! How can tasks wait for tasks without occupying all slots? A waiting task is paused and frees its slot for the task
//! that it waits for. Here a runner with one slot completes hundreds of nested calls.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p auto-orchestration
//! ```

use auto_orchestration::fibonacci;
use pynenc::prelude::*;

#[tokio::main]
async fn main() -> Result<()> {
    let app = Pynenc::builder().set("runner.concurrency", 1).build().await?;
    let runner = app.start_runner().await?;

    let invocation = app.submit(fibonacci(12)).await?;
    println!("fibonacci(12) = {}", invocation.result().await?);
    println!("invocations   = {}", app.count(Status::Success).await?);
    println!("history of the first one:");
    for line in invocation.history().await? {
        println!("  {:<10} {}", line.status, line.reason);
    }

    runner.shutdown().await
}
