//! How do clients and worker processes share an app? Both link this library of tasks, and both read `pynenc.toml`,
//! which names the Redis server.
//!
//! Start these two programs in two terminals. Run with
//!
//! ```not_rust
//! cargo run -p redis-workers --bin worker -- worker
//! cargo run -p redis-workers --bin producer
//! ```

use std::net::TcpStream;

use pynenc::PynencBuilder;
use pynenc::prelude::*;
use pynenc_testkit::{RedisServer, RedisServerOptions};

/// Adds two numbers. Returns the sum and the id of the process.
#[task]
pub async fn add(x: i64, y: i64) -> (i64, u32) {
    (x + y, std::process::id())
}

/// Counts the words of a text. A task that is a plain function runs on its own thread and blocks no other task.
#[task]
pub fn count_words(text: String) -> usize {
    text.split_whitespace().count()
}

/// Counts the words of many texts. Any worker may run the calls that this task submits.
#[task]
pub async fn count_all_words(texts: Vec<String>, #[inject] context: TaskContext) -> Result<usize> {
    let counts = context.submit_all(texts.into_iter().map(count_words)).await?;
    Ok(counts.results().await?.into_iter().sum())
}

/// Returns the builder of the app that this folder's `pynenc.toml` describes, for both programs.
pub fn app() -> PynencBuilder {
    Pynenc::builder().config_file(concat!(env!("CARGO_MANIFEST_DIR"), "/pynenc.toml"))
}

/// Starts a Redis server for the time of this process, unless a server is running. In production you have a server.
pub fn start_server_if_missing() -> Option<RedisServer> {
    let port = std::env::var("PYNENC__REDIS__REDIS_PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(6379);
    if TcpStream::connect(("127.0.0.1", port)).is_ok() {
        return None;
    }
    eprintln!("no server listens on port {port}: starting one until this program exits");
    Some(RedisServer::start_with(RedisServerOptions { port: Some(port), ..RedisServerOptions::default() }))
}
