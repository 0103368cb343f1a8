//! A worker process for tests that kill it. The environment holds its whole configuration.

use pynenc_tests::worker_tasks::{SharedFolder, builder};

#[tokio::main]
async fn main() -> pynenc::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    builder(SharedFolder::of_environment()).build().await?.run().await
}
