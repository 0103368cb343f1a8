//! The mode can come from outside: the code under test builds its app as it always does.

use pynenc::prelude::*;
use sync_testing::total;

async fn app(variable: &str) -> Result<Pynenc> {
    let variables = [("PYNENC__DEV_MODE_FORCE_SYNC_TASKS".to_owned(), variable.to_owned())];
    Pynenc::builder().without_config_file().environment(variables).build().await
}

#[tokio::test]
async fn the_variable_turns_the_mode_on() -> Result<()> {
    let invocation = app("true").await?.submit(total(vec!["milk".to_owned()])).await?;
    assert_eq!(invocation.result().await?, 120);
    Ok(())
}

#[tokio::test]
async fn without_it_a_call_waits_for_a_runner() -> Result<()> {
    let invocation = app("no").await?.submit(total(vec!["milk".to_owned()])).await?;
    assert_eq!(invocation.status().await?, Status::Registered);
    Ok(())
}
