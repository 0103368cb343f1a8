//! A worker process for tests that kill it: everything about it is in its environment.

use pynenc_tests::work::{Stage, builder};

#[tokio::main]
async fn main() -> pynenc::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    builder(Stage::of_environment()).build().await?.run().await
}
