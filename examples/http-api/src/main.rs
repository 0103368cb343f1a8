//! How do programs in other languages submit calls? Over the HTTP API: this program has the tasks, runs them and serves the
//! API. The producers are in the folder `producers`.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p http-api
//! ```
//!
//! and in other terminals, with the URL that it prints:
//!
//! ```not_rust
//! sh examples/http-api/producers/producer.sh http://127.0.0.1:8460
//! python3 examples/http-api/producers/producer.py http://127.0.0.1:8460
//! ```

use pynenc::prelude::*;

/// Adds two numbers.
#[task(name = "add")]
async fn add(x: i64, y: i64) -> i64 {
    x + y
}

/// Divides two numbers.
#[task(name = "divide")]
async fn divide(x: i64, y: i64) -> Result<i64, String> {
    x.checked_div(y).ok_or_else(|| format!("{x} can't be divided by {y}"))
}

#[tokio::main]
async fn main() -> Result<()> {
    let app = Pynenc::builder().memory().app_id("calculator").set("web.actions", true).build().await?;
    let runner = app.start_runner().await?;
    let listening = app.web()?.listen().await?;
    println!("http://{}", listening.address());
    app.serve_web_at(listening).await?;
    runner.shutdown().await
}
