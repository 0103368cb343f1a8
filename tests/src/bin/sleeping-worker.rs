//! A worker process for the tests of signals. It sleeps for a number of seconds, and prints the status of that
//! invocation.

use pynenc::prelude::*;

#[task]
async fn sleep(seconds: u64) {
    println!("sleeping");
    tokio::time::sleep(secs(seconds)).await;
}

#[tokio::main]
async fn main() -> pynenc::Result<()> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(3600);
    let app = Pynenc::builder().without_config_file().memory().build().await?;
    let invocation = app.submit(sleep(seconds)).await?;
    app.run().await?;
    let record = app.status(invocation.id()).await?;
    println!("{} ({}), {} charged", record.status, record.reason, record.retries + record.losses);
    Ok(())
}
