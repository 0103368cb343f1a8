//! What becomes of the work of a worker that is killed? Another one runs it again, and each piece ends once.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p crash-recovery
//! ```
//!
//! It starts a Redis server and two workers, which are this program in another role, kills one of them in the middle of
//! its work, and shows what the store says of it.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use pynenc::prelude::*;
use pynenc::{PynencBuilder, Reason};
use pynenc_testkit::RedisServer;

/// Sets this program's role to that of a worker, and says where the server is.
const SERVER: &str = "CRASH_RECOVERY_SERVER";

/// Bakes one loaf, which takes a while, and tells in which process.
#[task]
async fn bake(loaf: u32) -> (u32, u32) {
    tokio::time::sleep(millis(1500)).await;
    (loaf, std::process::id())
}

fn app(url: &str) -> PynencBuilder {
    // A lost worker is noticed when its lease is over: after 2 seconds here, after 15 by default.
    let builder = Pynenc::builder().without_config_file().app_id("bakery").redis(url);
    let builder = builder.set("runner.lease", "2s").set("runner.heartbeat_interval", "500ms");
    builder.set("runner.sweep_interval", "250ms").set("runner.concurrency", 3).set("redis.start_check", "off")
}

#[tokio::main]
async fn main() -> Result<()> {
    match std::env::var(SERVER) {
        Ok(url) => app(&url).build().await?.run().await,
        Err(_) => watch().await,
    }
}

async fn watch() -> Result<()> {
    let server = RedisServer::start();
    let app = app(&server.url()).build().await?;
    let mut workers = [worker(&server)?, worker(&server)?];
    let loaves = app.submit_all((1..=6).map(bake)).await?;
    while app.count(Status::Running).await? < 6 {
        tokio::time::sleep(millis(10)).await;
    }
    println!("6 loaves are in the ovens of processes {} and {}", workers[0].id(), workers[1].id());

    workers[0].kill().map_err(Error::other)?;
    let killed = Instant::now();
    println!("process {} is killed: no signal handler runs, nothing is cleaned up\n", workers[0].id());

    for loaf in loaves.invocations() {
        let (number, process) = loaf.result_timeout(secs(30)).await?;
        let history = loaf.history().await?;
        let lost = history.iter().filter(|line| line.reason == Reason::OwnerLost).count();
        let ended = history.iter().filter(|line| line.status.is_final()).count();
        println!("loaf {number}: by process {process}, lost {lost} times, ended {ended} times");
    }
    println!("\nall 6 are there {} after the kill; the way of one that was lost:", shown(killed.elapsed()));
    for loaf in loaves.invocations() {
        let history = loaf.history().await?;
        if history.iter().any(|line| line.reason == Reason::OwnerLost) {
            history.iter().for_each(|line| println!("  {:>10}  {}", line.status, line.reason));
            break;
        }
    }
    workers.iter_mut().try_for_each(Child::kill).map_err(Error::other)
}

/// This program again, as a worker.
fn worker(server: &RedisServer) -> Result<Child> {
    let program = std::env::current_exe().map_err(Error::other)?;
    Command::new(program).env(SERVER, server.url()).spawn().map_err(Error::other)
}

fn shown(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
