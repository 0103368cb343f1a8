//! How do worker processes and their clients share an app? Through a server: the tasks are in a library that both link,
//! and `pynenc.toml` says where the server is.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p redis-workers --bin worker -- worker
//! cargo run -p redis-workers --bin producer
//! ```
//!
//! in two terminals.

use std::net::TcpStream;

use pynenc::PynencBuilder;
use pynenc::prelude::*;
use pynenc_testkit::{RedisServer, RedisServerOptions};

/// Adds two numbers, and tells in which process.
#[task]
pub async fn add(x: i64, y: i64) -> (i64, u32) {
    (x + y, std::process::id())
}

/// Counts the words of a text. A plain function runs on a thread of its own, so that it keeps no other task waiting.
#[task]
pub fn count_words(text: String) -> usize {
    text.split_whitespace().count()
}

/// Adds up the words of many texts: its own calls are shared out to every worker.
#[task]
pub async fn count_all_words(texts: Vec<String>, #[inject] context: TaskContext) -> Result<usize> {
    let counts = context.submit_all(texts.into_iter().map(count_words)).await?;
    Ok(counts.results().await?.into_iter().sum())
}

/// The app of this folder's `pynenc.toml`, for both programs.
pub fn app() -> PynencBuilder {
    Pynenc::builder().config_file(concat!(env!("CARGO_MANIFEST_DIR"), "/pynenc.toml"))
}

/// Starts a server if none is there, which ends with this process; a deployment has one already.
pub fn server_if_none_is_there() -> Option<RedisServer> {
    let port = std::env::var("PYNENC__REDIS__REDIS_PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(6379);
    if TcpStream::connect(("127.0.0.1", port)).is_ok() {
        return None;
    }
    eprintln!("no server listens on port {port}: one is started for as long as this program runs");
    Some(RedisServer::start_with(RedisServerOptions { port: Some(port), ..RedisServerOptions::default() }))
}
