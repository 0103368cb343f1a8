//! Four environment variables put an app into memory, whatever stores its code or its file has chosen.

use std::sync::Mutex;

use mem_testing::{Postbox, send_mail};
use pynenc::prelude::*;

const MEMORY: [(&str, &str); 4] = [
    ("PYNENC__BROKER_CLS", "MemBroker"),
    ("PYNENC__ORCHESTRATOR_CLS", "MemOrchestrator"),
    ("PYNENC__STATE_BACKEND_CLS", "MemStateBackend"),
    ("PYNENC__TRIGGER_STORE_CLS", "MemTriggerStore"),
];

fn builder(variables: &[(&str, &str)]) -> pynenc::PynencBuilder {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let builder = Pynenc::builder().without_config_file().environment(variables.collect::<Vec<_>>());
    // This code chooses another broker. The environment overrides the code.
    builder.set("broker_cls", "elsewhere::Broker").state(Postbox(Mutex::default()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_runs_in_memory() -> Result<()> {
    let app = builder(&MEMORY).build().await?;
    let runner = app.start_runner().await?;
    app.submit(send_mail("ana@example.org".to_owned(), "hi".to_owned())).await?.result().await?;
    runner.shutdown().await
}

#[tokio::test]
async fn without_the_variables_the_choice_of_the_code_applies() {
    let Err(Error::Config(error)) = builder(&[]).build().await else { panic!("`elsewhere::Broker` doesn't exist") };
    assert!(error.to_string().contains("elsewhere::Broker"), "{error}");
}
