//! How does a running app look in the web monitor? Here a shop works in memory under a load that never ends.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p web-monitor
//! ```

use pynenc::prelude::*;

#[tokio::main]
async fn main() -> Result<()> {
    let app = web_monitor::app().await?;
    let runner = app.start_runner().await?;
    let customers = tokio::spawn(web_monitor::load::run(app.clone()));

    let listening = app.web()?.listen().await?;
    println!("open {} in a browser; stop with Ctrl-C", listening.url());
    app.serve_web_at(listening).await?;

    customers.abort();
    runner.shutdown_now().await
}
