//! The work of the benchmarks with apalis-redis.
//!
//! Variants: `tuned` has batches of 2,000 and neither locks nor events, `locked` has batches of 2,000, and `default` has
//! the default settings. apalis stores each call as a scheduled one, and its worker promotes all due calls in one
//! command, which fails with 8,000 calls or more. So the calls of a drain are promoted here, before the drain.

#[path = "../../common.rs"]
mod common;

use std::time::{Duration, Instant};

use apalis::prelude::*;
use apalis_redis::{Client, Config, ConnectionManager, RedisStorage};
use common::{PRODUCERS, Result, SLOTS, Work};
use redis::aio::ConnectionManagerConfig;
use serde::{Deserialize, Serialize};

const QUEUE: &str = "bench";
/// The number of calls in a bulk submit.
const BATCH: usize = 1_000;
/// The time limit of a reply. With the default of 500 ms, the worker stops when a script for a large batch takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Serialize, Deserialize)]
struct Add {
    x: u64,
    y: u64,
}

type Storage = RedisStorage<Add, ConnectionManager>;

fn main() -> Result<()> {
    common::main(measure)
}

async fn measure(work: Work) -> Result<Duration> {
    let config = Config::default().queue(QUEUE);
    let config = match &*work.variant {
        "tuned" => config.batch_size(2_000).lock_tasks(false).emit_events(false),
        "locked" => config.batch_size(2_000),
        _ => config,
    };
    let client = Client::open(&*work.server)?;
    let patient = ConnectionManagerConfig::new().set_response_timeout(Some(PATIENCE));
    let connection = client.get_connection_manager_with_config(patient).await?;
    let storage = Storage::new(connection).with_config(config);
    match &*work.figure {
        "submit" => submit(storage, work.calls).await,
        "submit_all" => submit_all(storage, work.calls).await,
        "submit_64_producers" => submit_from_many(storage, work.calls).await,
        "drain" => drain(storage, work.calls).await,
        _ => work.unknown(&["submit", "submit_all", "submit_64_producers", "drain"]),
    }
}

async fn submit(mut storage: Storage, calls: usize) -> Result<Duration> {
    let start = Instant::now();
    for x in 0..calls as u64 {
        storage.push(Add { x, y: 1 }).await?;
    }
    Ok(start.elapsed())
}

async fn submit_all(mut storage: Storage, calls: usize) -> Result<Duration> {
    let start = Instant::now();
    for batch in 0..(calls / BATCH) as u64 {
        storage.push_bulk((0..BATCH as u64).map(|x| Add { x, y: batch }).collect()).await?;
    }
    Ok(start.elapsed())
}

async fn submit_from_many(storage: Storage, calls: usize) -> Result<Duration> {
    let start = Instant::now();
    let producers: Vec<_> = (0..PRODUCERS).map(|_| tokio::spawn(submit(storage.clone(), calls / PRODUCERS))).collect();
    for producer in producers {
        producer.await??;
    }
    Ok(start.elapsed())
}

async fn drain(mut storage: Storage, calls: usize) -> Result<Duration> {
    submit_all(storage.clone(), calls).await?;
    promote(&mut storage).await?;
    let (done, mut connection) = (storage.get_config().done_jobs_set(), storage.get_connection().clone());
    let worker = WorkerBuilder::new("worker").backend(storage).concurrency(SLOTS).parallelize(tokio::spawn).build(add);
    let start = Instant::now();
    let mut worker = tokio::spawn(worker.run());
    tokio::select! {
        stopped = &mut worker => Err(format!("the worker stopped: {stopped:?}").into()),
        stored = all_stored(&mut connection, &done, calls) => {
            let elapsed = start.elapsed();
            worker.abort();
            stored.map(|()| elapsed)
        }
    }
}

/// Waits until all results are stored. Fails if the last ones aren't stored after ten seconds.
async fn all_stored(connection: &mut ConnectionManager, done: &str, calls: usize) -> Result<()> {
    common::all_finished(calls).await?;
    let finished = Instant::now();
    loop {
        let stored: usize = redis::cmd("SCARD").arg(done).query_async(connection).await?;
        if stored == calls {
            return Ok(());
        }
        if finished.elapsed() > Duration::from_secs(10) {
            return Err(format!("{stored} of {calls} results are stored").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn add(call: Add) -> u64 {
    common::add(call.x, call.y)
}

/// Moves every scheduled call to the list from which workers take their calls.
async fn promote(storage: &mut Storage) -> Result<()> {
    let (scheduled, active) = (storage.get_config().scheduled_jobs_set(), storage.get_config().active_jobs_list());
    let connection = storage.get_connection();
    loop {
        let ids: Vec<String> = redis::cmd("ZRANGE").arg(&scheduled).arg(0).arg(999).query_async(connection).await?;
        if ids.is_empty() {
            return Ok(());
        }
        redis::cmd("RPUSH").arg(&active).arg(&ids).exec_async(connection).await?;
        redis::cmd("ZREM").arg(&scheduled).arg(&ids).exec_async(connection).await?;
    }
}
