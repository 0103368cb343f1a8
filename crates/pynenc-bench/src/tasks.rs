//! The tasks that several benchmarks use.

use pynenc::prelude::*;

/// Every task of this module.
pub(crate) fn all() -> [&'static pynenc::engine::TaskDefinition; 3] {
    tasks![add, fibonacci, holds_slot]
}

#[task]
pub(crate) async fn add(x: u64, y: u64) -> u64 {
    x + y
}

#[task]
pub(crate) async fn fibonacci(n: u64) -> Result<u64> {
    if n < 2 {
        return Ok(n);
    }
    Ok(fibonacci(n - 1).await? + fibonacci(n - 2).await?)
}

/// Holds the only slot of its key until it is cancelled.
#[task(running_concurrency = task, reroute_on_concurrency_control)]
pub(crate) async fn holds_slot(#[inject] _context: TaskContext) {
    std::future::pending::<()>().await;
}
