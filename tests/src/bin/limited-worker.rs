//! A worker process that holds concurrency slots. Its arguments are a Redis URL and the monitor's address.

use pynenc::prelude::*;
use pynenc_tests::concurrency_monitor::{Address, holds_slot};

#[tokio::main]
async fn main() -> pynenc::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err(Error::other("usage: limited-worker REDIS_URL ADDRESS"));
    };
    let address = Address(address.parse().map_err(Error::other)?);
    let builder = Pynenc::builder().without_config_file().without_linked_tasks().tasks(tasks![holds_slot]);
    builder.redis(&url).state(address).build().await?.run().await
}
