//! How do I limit the calls that wait or run at once for one account? Four tasks do the same work with different
//! limits, and a bank counts the collisions: visits for an account during another visit.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p concurrency-control
//! ```

use std::sync::Arc;

use concurrency_control::{Bank, compare};
use pynenc::prelude::*;

#[tokio::main]
async fn main() -> Result<()> {
    let bank = Arc::new(Bank::default());
    let app = Pynenc::builder().state(bank.clone()).build().await?;
    let runner = app.start_runner().await?;

    println!("{:<18} {:>14} {:>8} {:>5} {:>11}", "task", "joined another", "dropped", "ran", "collisions");
    for row in compare(&app, &bank).await? {
        println!("{row}");
    }

    runner.shutdown().await
}
