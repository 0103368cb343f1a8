//! The work of the benchmarks with apalis-sqlite.
//!
//! Variants: `tuned` has batches of 2,000 and no locks, `locked` has batches of 2,000, and `default` has the default
//! settings. All have a write-ahead log with `synchronous = NORMAL`. apalis's own setup of a file would turn the waits
//! for the disk off on one connection of the pool, so the settings of the connections are given here.

#[path = "../../common.rs"]
mod common;

use std::time::{Duration, Instant};

use apalis::prelude::*;
use apalis_sqlite::{Config, SqlitePool, SqlitePoolOptions, SqliteStorage};
use common::{PRODUCERS, Result, SLOTS, Work};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

/// The number of calls in a bulk submit.
const BATCH: usize = 1_000;
/// The connections of the pool. SQLite has one writer, and each statement of apalis writes.
const CONNECTIONS: u32 = 1;
/// The worker stores results only when it is woken, and the last calls of a backlog are followed by no others.
const INTERVAL: Duration = Duration::from_millis(5);

#[derive(Debug, Serialize, Deserialize)]
struct Add {
    x: u64,
    y: u64,
}

type Storage = SqliteStorage<Add>;

fn main() -> Result<()> {
    common::main(measure)
}

async fn measure(work: Work) -> Result<Duration> {
    let options = SqliteConnectOptions::new().filename(&work.server).create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Normal);
    let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await?;
    SqliteStorage::migrations().run(&pool).await?;
    let config = Config::default().queue("bench");
    let config = match &*work.variant {
        "tuned" => config.batch_size(2_000).lock_tasks(false),
        "locked" => config.batch_size(2_000),
        _ => config,
    };
    let storage = Storage::new(&pool).with_config(config);
    match &*work.figure {
        "submit" => submit(storage, work.calls).await,
        "submit_all" => submit_all(storage, work.calls).await,
        "submit_64_producers" => submit_from_many(storage, work.calls).await,
        "drain" => drain(storage, &pool, work.calls).await,
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

async fn drain(storage: Storage, pool: &SqlitePool, calls: usize) -> Result<Duration> {
    submit_all(storage.clone(), calls).await?;
    let backend = storage.poll_with_interval(INTERVAL);
    let worker = WorkerBuilder::new("worker").backend(backend).concurrency(SLOTS).parallelize(tokio::spawn).build(add);
    let start = Instant::now();
    let mut worker = tokio::spawn(worker.run());
    tokio::select! {
        stopped = &mut worker => Err(format!("the worker stopped: {stopped:?}").into()),
        stored = all_stored(pool, calls) => {
            let elapsed = start.elapsed();
            worker.abort();
            stored.map(|()| elapsed)
        }
    }
}

/// Waits until all results are stored. Fails if the last ones aren't stored after ten seconds.
async fn all_stored(pool: &SqlitePool, calls: usize) -> Result<()> {
    common::all_finished(calls).await?;
    let finished = Instant::now();
    loop {
        let query = sqlx::query_scalar("SELECT count(*) FROM Jobs WHERE status = 'Done' AND last_result IS NOT NULL");
        let stored: i64 = query.fetch_one(pool).await?;
        if stored == calls as i64 {
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
