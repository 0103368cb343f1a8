//! The work of the benchmarks with rusty-sidekiq, with 80 connections. It has no bulk submit.

#[path = "../../common.rs"]
mod common;

use std::time::{Duration, Instant};

use bb8::Pool;
use common::{PRODUCERS, Result, SLOTS, Work};
use sidekiq::{Processor, ProcessorConfig, RedisConnectionManager, RedisPool, Worker, WorkerOpts};

const CONNECTIONS: u32 = 80;
const QUEUE: &str = "bench";

struct Add;

#[async_trait::async_trait]
impl Worker<(u64, u64)> for Add {
    fn opts() -> WorkerOpts<(u64, u64), Self> {
        WorkerOpts::new().queue(QUEUE)
    }

    async fn perform(&self, (x, y): (u64, u64)) -> sidekiq::Result<()> {
        common::add(x, y);
        Ok(())
    }
}

fn main() -> Result<()> {
    common::main(measure)
}

async fn measure(work: Work) -> Result<Duration> {
    let manager = RedisConnectionManager::new(&*work.server)?;
    let pool = Pool::builder().max_size(CONNECTIONS).build(manager).await?;
    match &*work.figure {
        "submit" => submit(pool, work.calls).await,
        "submit_64_producers" => submit_from_many(pool, work.calls).await,
        "drain" => drain(pool, work.calls).await,
        _ => work.unknown(&["submit", "submit_64_producers", "drain"]),
    }
}

async fn submit(pool: RedisPool, calls: usize) -> Result<Duration> {
    let start = Instant::now();
    for x in 0..calls as u64 {
        Add::perform_async(&pool, (x, 1)).await?;
    }
    Ok(start.elapsed())
}

async fn submit_from_many(pool: RedisPool, calls: usize) -> Result<Duration> {
    let start = Instant::now();
    let producers: Vec<_> = (0..PRODUCERS).map(|_| tokio::spawn(submit(pool.clone(), calls / PRODUCERS))).collect();
    for producer in producers {
        producer.await??;
    }
    Ok(start.elapsed())
}

async fn drain(pool: RedisPool, calls: usize) -> Result<Duration> {
    submit(pool.clone(), calls).await?;
    let config = ProcessorConfig::default().num_workers(SLOTS);
    let mut processor = Processor::new(pool, vec![QUEUE.to_owned()]).with_config(config);
    processor.register(Add);
    let start = Instant::now();
    let processor = tokio::spawn(processor.run());
    common::all_finished(calls).await?;
    let elapsed = start.elapsed();
    processor.abort();
    Ok(elapsed)
}
