//! An environment variable turns on synchronous mode, so code that builds its own app can be tested unchanged.

use pynenc::prelude::*;
use sync_testing::total;

async fn app(variable: &str) -> Result<Pynenc> {
    let variables = [("PYNENC__DEV_MODE_FORCE_SYNC_TASKS".to_owned(), variable.to_owned())];
    Pynenc::builder().without_config_file().environment(variables).build().await
}

#[tokio::test]
async fn the_variable_turns_synchronous_mode_on() -> Result<()> {
    let invocation = app("true").await?.submit(total(vec!["milk".to_owned()])).await?;
    assert_eq!(invocation.result().await?, 120);
    Ok(())
}

#[tokio::test]
async fn without_synchronous_mode_a_call_waits_for_a_runner() -> Result<()> {
    let invocation = app("no").await?.submit(total(vec!["milk".to_owned()])).await?;
    assert_eq!(invocation.status().await?, Status::Registered);
    Ok(())
}
