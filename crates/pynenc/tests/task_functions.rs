//! Tests of running task functions: arguments, injected values, returned values, errors and retries.
#![cfg(feature = "testing")]

use pynenc::prelude::*;
use pynenc::testing::TestApp;

#[derive(Debug, thiserror::Error)]
enum Declined {
    #[error("busy")]
    Busy,
    #[error("no account {0}")]
    NoAccount(u64),
}

impl Declined {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Busy)
    }

    fn of(account: u64) -> Self {
        if account == 0 { Self::Busy } else { Self::NoAccount(account) }
    }
}

struct Bonus(u64);

#[task(max_retries = 2, retry_for(Declined::Busy))]
async fn by_pattern(account: u64) -> Result<u64, Declined> {
    std::future::ready(Err(Declined::of(account))).await
}

#[task(max_retries = 2, retry_if = Declined::is_transient)]
fn by_function(account: u64) -> Result<u64, Declined> {
    Err(Declined::of(account))
}

#[task(max_retries = 2)]
async fn by_options(account: u64) -> Result<u64, String> {
    std::future::ready(Err(account.to_string())).await
}

#[task(max_retries = 2)]
fn succeeds_at_the_third_attempt(
    first: u64,
    #[inject] bonus: State<Bonus>,
    mut second: u64,
    #[inject] context: TaskContext,
) -> Shared {
    second *= 10;
    if context.attempt_number() < 3 { Err("not yet".to_owned()) } else { Ok(first + second + bonus.0) }
}

type Shared = std::result::Result<u64, String>;

#[task]
async fn fibonacci(n: u64) -> Result<u64> {
    if n < 2 {
        return Ok(n);
    }
    Ok(fibonacci(n - 1).await? + fibonacci(n - 2).await?)
}

#[task]
fn nothing() {}

async fn app() -> Result<TestApp> {
    TestApp::with(|builder| builder.state(Bonus(100))).await
}

/// Returns the kind of the error, and the number of the last attempt.
async fn failure<T: Task>(call: Call<T>) -> Result<(String, u32)> {
    match app().await?.submit(call).await?.result().await {
        Err(Error::TaskFailed(error)) => Ok((error.kind, error.attempt)),
        Err(other) => Err(other),
        Ok(_) => panic!("{} returned a value", T::definition().name),
    }
}

#[tokio::test]
async fn only_matching_errors_are_retried() -> Result<()> {
    assert_eq!(failure(by_pattern(0)).await?, ("Declined".to_owned(), 3));
    assert_eq!(failure(by_pattern(1)).await?, ("Declined".to_owned(), 1));
    assert_eq!(failure(by_function(0)).await?, ("Declined".to_owned(), 3));
    assert_eq!(failure(by_function(1)).await?, ("Declined".to_owned(), 1));
    assert_eq!(failure(by_options(0)).await?, ("String".to_owned(), 3));
    Ok(())
}

#[tokio::test]
async fn results_are_returned_to_the_caller() -> Result<()> {
    let app = app().await?;
    assert_eq!(app.submit(succeeds_at_the_third_attempt(1, 2)).await?.result().await?, 121);
    assert_eq!(app.submit(fibonacci(6)).await?.result().await?, 8);
    app.submit(nothing()).await?.result().await
}
