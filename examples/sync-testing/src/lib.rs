//! How do I test tasks without a runner? In synchronous mode, a submit runs the task before it returns, with its
//! retries and nested calls. Delays and waits between retries take no time.
//!
//! Run with
//!
//! ```not_rust
//! cargo test -p sync-testing
//! ```

use pynenc::prelude::*;

/// Returns the price of one item, in cents.
#[task]
pub async fn price(item: String) -> Result<u64, String> {
    match item.as_str() {
        "bread" => Ok(250),
        "milk" => Ok(120),
        _ => Err(format!("no price for {item}")),
    }
}

/// Returns the price of a basket. This task calls other tasks.
#[task]
pub async fn total(items: Vec<String>, #[inject] context: TaskContext) -> Result<u64> {
    let prices = context.submit_all(items.into_iter().map(price)).await?.results().await?;
    Ok(prices.iter().sum())
}

/// Pays at a counter that opens for the third attempt.
#[task(max_retries = 3, backoff = constant("1h"))]
pub async fn pay(cents: u64, #[inject] context: TaskContext) -> Result<String, String> {
    if context.attempt_number() < 3 { Err("closed".to_owned()) } else { Ok(format!("paid {cents}")) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use super::*;

    async fn app() -> Pynenc {
        let builder = Pynenc::builder().without_config_file().environment([]);
        builder.dev_mode_force_sync_tasks(true).build().await.unwrap()
    }

    fn basket(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    /// `run` calls the task function without an app.
    #[tokio::test]
    async fn a_task_function_can_be_called_without_an_app() {
        assert_eq!(price::run("milk".to_owned()).await, Ok(120));
    }

    #[tokio::test]
    async fn a_submit_runs_the_task() {
        let invocation = app().await.submit(price("bread".to_owned())).await.unwrap();
        assert_eq!(invocation.status().await.unwrap(), Status::Success);
        assert_eq!(invocation.result().await.unwrap(), 250);
    }

    #[tokio::test]
    async fn nested_calls_run_before_the_submit_returns() {
        let app = app().await;
        let invocation = app.submit(total(basket(&["bread", "milk", "milk"]))).await.unwrap();
        assert_eq!(invocation.result().await.unwrap(), 490);
        assert_eq!(app.count(Status::Success).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn a_failed_child_fails_its_caller() {
        let invocation = app().await.submit(total(basket(&["bread", "gold"]))).await.unwrap();
        let Err(Error::TaskFailed(error)) = invocation.result().await else { panic!("gold has no price") };
        assert!(error.to_string().contains("no price for gold"), "{error}");
    }

    #[tokio::test]
    async fn retries_take_no_time() {
        let start = std::time::Instant::now();
        let invocation = app().await.submit(pay(490)).await.unwrap();
        assert_eq!(invocation.result().await.unwrap(), "paid 490");
        assert!(start.elapsed() < minutes(1), "two hours of back-off take no time");
    }
}
