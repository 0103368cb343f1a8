//! How is the work of a killed worker recovered? Another worker runs it again, and each invocation finishes once.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p crash-recovery
//! ```
//!
//! The program starts a Redis server and itself as two workers. It kills one worker in the middle of its work, and
//! shows the histories of the invocations.

use std::process::{Child, Command};
use std::time::Instant;

use pynenc::prelude::*;
use pynenc::{PynencBuilder, Reason};
use pynenc_testkit::RedisServer;

/// The variable that makes this program a worker. Its value is the URL of the server.
const SERVER: &str = "CRASH_RECOVERY_SERVER";

/// Bakes one loaf in 1.5 seconds, and returns its number with the id of the process.
#[task]
async fn bake(loaf: u32) -> (u32, u32) {
    tokio::time::sleep(millis(1500)).await;
    (loaf, std::process::id())
}

fn app(url: &str) -> PynencBuilder {
    // A worker is lost when it hasn't renewed its lease: after 2 seconds here, after 15 by default.
    let builder = Pynenc::builder().without_config_file().app_id("bakery").redis(url);
    let builder = builder.set("runner.lease", "2s").set("runner.heartbeat_interval", "500ms");
    builder.set("runner.sweep_interval", "250ms").set("runner.concurrency", 3).set("redis.start_check", "off")
}

#[tokio::main]
async fn main() -> Result<()> {
    match std::env::var(SERVER) {
        Ok(url) => app(&url).build().await?.run().await,
        Err(_) => kill_a_worker().await,
    }
}

async fn kill_a_worker() -> Result<()> {
    let server = RedisServer::start();
    let app = app(&server.url()).build().await?;
    let mut workers = [start_worker(&server)?, start_worker(&server)?];
    let loaves = app.submit_all((1..=6).map(bake)).await?;
    while app.count(Status::Running).await? < 6 {
        tokio::time::sleep(millis(10)).await;
    }
    // Each worker has 3 slots, so both workers together run all 6 invocations.
    println!("processes {} and {} are baking 6 loaves", workers[0].id(), workers[1].id());

    workers[0].kill().map_err(Error::other)?;
    let killed = Instant::now();
    println!("process {} was killed, without a chance to clean up\n", workers[0].id());

    for loaf in loaves.invocations() {
        let (number, process) = loaf.result_timeout(secs(30)).await?;
        let history = loaf.history().await?;
        let lost = history.iter().filter(|line| line.reason == Reason::OwnerLost).count();
        let finished = history.iter().filter(|line| line.status.is_final()).count();
        println!("loaf {number}: baked by process {process}, lost {lost} times, finished {finished} times");
    }
    println!(
        "\nall 6 loaves are baked {:.1}s after the kill. The history of a lost one:",
        killed.elapsed().as_secs_f64()
    );
    for loaf in loaves.invocations() {
        let history = loaf.history().await?;
        if history.iter().any(|line| line.reason == Reason::OwnerLost) {
            history.iter().for_each(|line| println!("  {:>10}  {}", line.status, line.reason));
            break;
        }
    }
    workers.iter_mut().try_for_each(Child::kill).map_err(Error::other)
}

/// Starts this program as a worker.
fn start_worker(server: &RedisServer) -> Result<Child> {
    let program = std::env::current_exe().map_err(Error::other)?;
    Command::new(program).env(SERVER, server.url()).spawn().map_err(Error::other)
}
