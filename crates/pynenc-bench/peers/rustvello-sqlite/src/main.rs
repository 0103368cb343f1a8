//! The work of the benchmarks with rustvello-sqlite.
//!
//! Variants: `default` has the default number of workers, one for each core, and `slots` has as many workers as the
//! other systems have slots. Both have a write-ahead log with `synchronous = NORMAL`. It has no bulk submits.

#[path = "../../common.rs"]
mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{PRODUCERS, Result, SLOTS, Work};
use rustvello::prelude::*;
use rustvello::sqlite::db::{SqliteOptions, SqliteSynchronous};

const APP: &str = "bench";

#[rustvello::task]
fn add(x: u64, y: u64) -> u64 {
    common::add(x, y)
}

fn main() -> Result<()> {
    common::main(measure)
}

async fn measure(work: Work) -> Result<Duration> {
    let app = app(&work.server).await?;
    match &*work.figure {
        "submit" => submit(app, work.calls).await,
        "submit_64_producers" => submit_from_many(app, work.calls).await,
        "drain" => drain(app, &work).await,
        _ => work.unknown(&["submit", "submit_64_producers", "drain"]),
    }
}

async fn app(file: &str) -> Result<Arc<RustvelloApp>> {
    let options = SqliteOptions { synchronous: SqliteSynchronous::Normal, ..SqliteOptions::default() };
    let builder = Rustvello::builder().app_id(APP).sqlite_with_options(file, APP, options).auto_discover_tasks();
    // Lines for each task would cost time.
    Ok(Arc::new(builder.logging_level("error").build().await?))
}

async fn submit(app: Arc<RustvelloApp>, calls: usize) -> Result<Duration> {
    let start = Instant::now();
    for x in 0..calls as u64 {
        app.submit_call(&AddTask::new(), AddParams { x, y: 1 }).await?;
    }
    Ok(start.elapsed())
}

async fn submit_from_many(app: Arc<RustvelloApp>, calls: usize) -> Result<Duration> {
    let start = Instant::now();
    let producers: Vec<_> = (0..PRODUCERS).map(|_| tokio::spawn(submit(app.clone(), calls / PRODUCERS))).collect();
    for producer in producers {
        producer.await??;
    }
    Ok(start.elapsed())
}

async fn drain(app: Arc<RustvelloApp>, work: &Work) -> Result<Duration> {
    submit(app.clone(), work.calls).await?;
    let stored = app.orchestrator();
    let worker = Arc::into_inner(app).ok_or("the app is shared")?.into_runner();
    let worker = if work.variant == "slots" { worker.with_num_workers(SLOTS) } else { worker };
    let start = Instant::now();
    let mut worker = tokio::spawn(async move { worker.run().await });
    tokio::select! {
        stopped = &mut worker => Err(format!("the worker stopped: {stopped:?}").into()),
        finished = all_stored(&*stored, work.calls) => {
            let elapsed = start.elapsed();
            worker.abort();
            finished.map(|()| elapsed)
        }
    }
}

/// Waits until all results are stored. Fails if the last ones aren't stored after ten seconds.
async fn all_stored(stored: &dyn InvocationControlBackend, calls: usize) -> Result<()> {
    common::all_finished(calls).await?;
    let finished = Instant::now();
    while stored.count_invocations(None, Some(&[InvocationStatus::Success])).await? < calls {
        if finished.elapsed() > Duration::from_secs(10) {
            return Err("the last results aren't stored after ten seconds".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
