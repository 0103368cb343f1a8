//! A worker process whose bodies pass a turnstile: it is told a Redis server's URL and the turnstile's address.

use pynenc::prelude::*;
use pynenc_tests::turnstile::{Address, pass};

#[tokio::main]
async fn main() -> pynenc::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err(Error::other("usage: turnstile-worker REDIS_URL ADDRESS"));
    };
    let address = Address(address.parse().map_err(Error::other)?);
    let builder = Pynenc::builder().without_config_file().without_linked_tasks().tasks(tasks![pass]);
    builder.redis(&url).state(address).build().await?.run().await
}
