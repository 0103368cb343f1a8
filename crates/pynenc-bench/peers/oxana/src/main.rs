//! The work of the benchmarks with oxana, with 80 connections.

#[path = "../../common.rs"]
mod common;

use std::convert::Infallible;
use std::time::{Duration, Instant};

use common::{PRODUCERS, SLOTS, Work};
use oxana::{Storage, StorageBuilderTimeouts};
use serde::{Deserialize, Serialize};

const CONNECTIONS: usize = 80;
/// The number of calls in a bulk submit.
const BATCH: usize = 1_000;

#[derive(Debug, Serialize, Deserialize, oxana::Job)]
struct AddJob {
    x: u64,
    y: u64,
}

#[derive(Clone)]
struct Context;

#[derive(oxana::Worker)]
#[oxana(context = Context, error = Infallible, registry = None)]
struct AddWorker;

impl AddWorker {
    async fn process(&self, job: AddJob, _context: &oxana::JobContext) -> Result<(), Infallible> {
        common::add(job.x, job.y);
        Ok(())
    }
}

#[derive(oxana::Queue)]
#[oxana(key = "bench", concurrency = 64)]
struct Queue;

fn main() -> common::Result<()> {
    common::main(measure)
}

async fn measure(work: Work) -> common::Result<Duration> {
    let timeouts = StorageBuilderTimeouts::new(Duration::from_secs(10));
    let storage = Storage::builder().max_pool_size(CONNECTIONS).timeouts(timeouts);
    let storage = storage.build_from_redis_url(&*work.server)?;
    match &*work.figure {
        "submit" => submit(storage, work.calls).await,
        "submit_all" => submit_all(&storage, work.calls).await,
        "submit_64_producers" => submit_from_many(storage, work.calls).await,
        "drain" => drain(storage, work.calls).await,
        _ => work.unknown(&["submit", "submit_all", "submit_64_producers", "drain"]),
    }
}

async fn submit(storage: Storage, calls: usize) -> common::Result<Duration> {
    let start = Instant::now();
    for x in 0..calls as u64 {
        storage.enqueue(Queue, AddJob { x, y: 1 }).await?;
    }
    Ok(start.elapsed())
}

async fn submit_all(storage: &Storage, calls: usize) -> common::Result<Duration> {
    let start = Instant::now();
    for batch in 0..(calls / BATCH) as u64 {
        storage.enqueue_list(Queue, (0..BATCH as u64).map(|x| AddJob { x, y: batch })).await?;
    }
    Ok(start.elapsed())
}

async fn submit_from_many(storage: Storage, calls: usize) -> common::Result<Duration> {
    let start = Instant::now();
    let producers: Vec<_> = (0..PRODUCERS).map(|_| tokio::spawn(submit(storage.clone(), calls / PRODUCERS))).collect();
    for producer in producers {
        producer.await??;
    }
    Ok(start.elapsed())
}

async fn drain(storage: Storage, calls: usize) -> common::Result<Duration> {
    submit_all(&storage, calls).await?;
    let runtime = storage.runtime(Context).queue_with_concurrency::<Queue>(SLOTS).worker::<AddWorker, AddJob>();
    let start = Instant::now();
    let runtime = tokio::spawn(runtime.run());
    common::all_finished(calls).await?;
    let elapsed = start.elapsed();
    runtime.abort();
    Ok(elapsed)
}
