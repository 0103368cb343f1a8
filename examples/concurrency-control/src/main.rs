//! How do calls for one account keep out of each other's way? Four tasks do the same work under four rules, and a bank
//! that can't take two at once for an account counts the collisions.
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

    println!("{:<18} {:>16} {:>8} {:>5} {:>11}", "way", "same as another", "dropped", "ran", "collisions");
    for row in compare(&app, &bank).await? {
        println!("{row}");
    }

    runner.shutdown().await
}
