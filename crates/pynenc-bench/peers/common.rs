//! Shared by the peers' programs: their arguments, runtime and output.
//!
//! A program measures one figure once: `PROGRAM SERVER FIGURE CALLS THREADS VARIANT`. The server is the address of a Redis
//! server, or the path of a new SQLite file. The program prints the result as a line of JSON with the fields of the
//! benchmarks of pynenc.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The number of concurrent tasks of a worker.
pub const SLOTS: usize = 64;
/// The number of concurrent producers.
pub const PRODUCERS: usize = 64;

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The number of task functions that have run.
static FINISHED: AtomicUsize = AtomicUsize::new(0);

/// One measurement, as the arguments of the program describe it.
pub struct Work {
    pub server: String,
    pub figure: String,
    pub calls: usize,
    /// The name of the peer's settings, for peers that are measured with several.
    pub variant: String,
}

/// Runs the measurement that the arguments describe, and prints its rate.
pub fn main<F>(measure: impl FnOnce(Work) -> F) -> Result<()>
where
    F: Future<Output = Result<Duration>> + Send + 'static,
{
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, figure, calls, threads, variant] = <[String; 5]>::try_from(arguments)
        .map_err(|given| format!("{} arguments instead of SERVER FIGURE CALLS THREADS VARIANT", given.len()))?;
    let (calls, threads) = (calls.parse()?, threads.parse()?);
    let backend = if server.starts_with("redis:") { "redis" } else { "sqlite" };
    let work = Work { server, figure: figure.clone(), calls, variant };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    // A spawned task, as in a server. The thread of `main` would pass each request to another thread.
    let elapsed = runtime.block_on(runtime.spawn(measure(work)))??;
    runtime.shutdown_background();
    let line = serde_json::json!({
        "figure": figure, "backend": backend, "value": calls as f64 / elapsed.as_secs_f64(), "unit": "calls/s",
        "target": null, "runs": 1,
    });
    println!("{line}");
    Ok(())
}

impl Work {
    /// The error for a figure that the peer doesn't have.
    pub fn unknown<T>(&self, known: &[&str]) -> Result<T> {
        Err(format!("unknown figure `{}` with variant `{}`; known: {}", self.figure, self.variant, known.join(", "))
            .into())
    }
}

/// Adds two numbers, as the task function of every program does, and counts the run.
pub fn add(x: u64, y: u64) -> u64 {
    FINISHED.fetch_add(1, Ordering::Relaxed);
    x + y
}

/// Waits until this many task functions have run. Fails if none runs for ten seconds.
pub async fn all_finished(calls: usize) -> Result<()> {
    let (mut seen, mut changed) = (0, Instant::now());
    loop {
        let finished = FINISHED.load(Ordering::Relaxed);
        if finished >= calls {
            return Ok(());
        }
        if finished != seen {
            (seen, changed) = (finished, Instant::now());
        }
        if changed.elapsed() > Duration::from_secs(10) {
            return Err(format!("the worker stopped after {finished} of {calls} calls").into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
