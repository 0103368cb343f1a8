//! A task that calls itself and waits for the results.

use pynenc::prelude::*;

/// Returns the n-th Fibonacci number. Each `.await` submits a call and waits for it. The task's slot is free meanwhile.
#[task]
pub async fn fibonacci(n: u64) -> Result<u64> {
    if n < 2 {
        return Ok(n);
    }
    Ok(fibonacci(n - 1).await? + fibonacci(n - 2).await?)
}
