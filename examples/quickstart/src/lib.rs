//! The tasks of the quickstart, in a library so that the program, its tests and a worker can share them.

use pynenc::prelude::*;

/// Adds two numbers.
#[task]
pub async fn add(x: i64, y: i64) -> i64 {
    x + y
}

/// Squares a number. A task that is a plain function runs on its own thread, so a long computation blocks no other
/// task.
#[task]
pub fn square(n: u64) -> u64 {
    n * n
}

/// The error of a division by zero.
#[derive(Debug, thiserror::Error)]
#[error("can't divide {dividend} by zero")]
pub struct DivisionByZero {
    dividend: i64,
}

/// Divides two numbers. The caller of a failed task gets the name of the error type and the message.
#[task]
pub async fn divide(dividend: i64, divisor: i64) -> Result<i64, DivisionByZero> {
    dividend.checked_div(divisor).ok_or(DivisionByZero { dividend })
}

/// Asks a service that fails twice and then answers. Each failed attempt is retried after 100 ms.
#[task(max_retries = 4, backoff = constant("100ms"))]
pub async fn forecast(city: String, #[inject] context: TaskContext) -> Result<String, String> {
    match context.attempt_number() {
        3.. => Ok(format!("sunny in {city}")),
        _ => Err("the service is busy".to_owned()),
    }
}

/// Returns a reminder.
#[task]
pub async fn remind(of: String) -> String {
    format!("remember the {of}")
}
