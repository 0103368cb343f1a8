//! A worker process for tests of signals: it naps for as many seconds as it is told, and says what became of the nap.

use pynenc::prelude::*;

#[task]
async fn nap(seconds: u64) {
    println!("napping");
    tokio::time::sleep(secs(seconds)).await;
}

#[tokio::main]
async fn main() -> pynenc::Result<()> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(3600);
    let app = Pynenc::builder().without_config_file().memory().build().await?;
    let invocation = app.submit(nap(seconds)).await?;
    app.run().await?;
    let record = app.status(invocation.id()).await?;
    println!("{} ({}), {} charged", record.status, record.reason, record.retries + record.losses);
    Ok(())
}
