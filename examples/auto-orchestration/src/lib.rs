//! A task that waits for tasks.

use pynenc::prelude::*;

/// The n-th Fibonacci number. Each `.await` submits a call, and gives the slot away until that call has ended.
#[task]
pub async fn fibonacci(n: u64) -> Result<u64> {
    if n < 2 {
        return Ok(n);
    }
    Ok(fibonacci(n - 1).await? + fibonacci(n - 2).await?)
}
