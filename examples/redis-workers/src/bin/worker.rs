//! The worker, with the whole command line: `worker` runs invocations until you stop it, `invocations` lists them, and
//! `--help` describes the other commands. Start as many workers as you like, on as many machines.

use pynenc::prelude::*;

#[tokio::main]
async fn main() -> pynenc::Result<()> {
    let _server = redis_workers::start_server_if_missing();
    redis_workers::app().cli().await
}
