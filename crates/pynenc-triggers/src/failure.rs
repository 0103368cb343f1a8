//! Failures of a trigger's code: caught panics, and permanent errors apart from transient ones.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use pynenc_engine::{Error, Result};

/// Runs the user's code and returns a panic as an error.
pub(crate) async fn catch_panic<T>(code: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(code).catch_unwind().await.unwrap_or_else(|panic| Err(Error::other(describe(&*panic))))
}

fn describe(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without a message"))
}

/// Returns the text of a permanent error as the inner error, and a transient error, which may be retried, as the outer
/// one.
pub(crate) fn split_permanent<T>(result: Result<T>) -> Result<Result<T, String>> {
    match result {
        Err(error) if error.is_retryable() => Err(error),
        Err(error) => Ok(Err(error.to_string())),
        Ok(value) => Ok(Ok(value)),
    }
}
