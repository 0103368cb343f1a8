//! The tasks of the quickstart. They stand in a library so that the program, its tests and a worker can share them.

use pynenc::prelude::*;

/// Adds two numbers.
#[task]
pub async fn add(x: i64, y: i64) -> i64 {
    x + y
}

/// Squares a number. A plain function: it runs on a thread of its own and may compute for as long as it likes.
#[task]
pub fn square(n: u64) -> u64 {
    n * n
}

/// Why a division has no quotient.
#[derive(Debug, thiserror::Error)]
#[error("can't divide {dividend} by zero")]
pub struct DivisionByZero {
    dividend: i64,
}

/// Divides; its error is a type of its own, and reaches the caller by name.
#[task]
pub async fn divide(dividend: i64, divisor: i64) -> Result<i64, DivisionByZero> {
    dividend.checked_div(divisor).ok_or(DivisionByZero { dividend })
}

/// Asks a service that answers only the third time.
#[task(max_retries = 4, backoff = constant("100ms"))]
pub async fn forecast(city: String, #[inject] context: TaskContext) -> Result<String, String> {
    match context.attempt_number() {
        3.. => Ok(format!("sunny in {city}")),
        _ => Err("the service is busy".to_owned()),
    }
}

/// Says what it was told to.
#[task]
pub async fn remind(of: String) -> String {
    format!("remember the {of}")
}
