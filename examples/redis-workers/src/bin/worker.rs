//! The command line of this app: `worker -- worker` runs until it is told to stop, `worker -- invocations` lists what
//! there is, and `worker -- --help` tells the rest. Start as many workers as you like, on as many machines.

use pynenc::prelude::*;

#[tokio::main]
async fn main() -> pynenc::Result<()> {
    let _server = redis_workers::server_if_none_is_there();
    redis_workers::app().cli().await
}
