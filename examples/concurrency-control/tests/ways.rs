//! Counts 24 calls for four accounts with each of the four tasks.

use std::sync::Arc;

use concurrency_control::{Bank, Row, compare};
use pynenc::prelude::*;
use pynenc::testing::TestApp;

#[tokio::test]
async fn each_limit_treats_the_same_calls_differently() -> Result<()> {
    let bank = Arc::new(Bank::default());
    let app = TestApp::with(|builder| builder.state(bank.clone())).await?;
    let row = |task, joined_another, dropped, ran, collisions| Row { task, joined_another, dropped, ran, collisions };
    let expected = [
        row("uncontrolled", 0, 0, 24, 20),
        row("one_waits", 20, 0, 4, 0),
        row("one_runs", 0, 0, 24, 0),
        row("one_runs_or_none", 0, 20, 4, 0),
    ];
    assert_eq!(compare(&app, &bank).await?, expected);
    Ok(())
}
