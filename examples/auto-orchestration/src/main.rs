//! How do tasks wait for tasks without taking all the slots? A body that waits is paused, and its slot goes to what it
//! waits for: here hundreds of invocations get through a runner that runs one at a time.
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
    println!("the first one:");
    for line in invocation.history().await? {
        println!("  {:<10} {}", line.status, line.reason);
    }

    runner.shutdown().await
}
