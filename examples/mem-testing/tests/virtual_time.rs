//! `TestApp` moves the time forward, and lists the submitted calls with their arguments.

use std::sync::Mutex;

use mem_testing::{Postbox, send_mail, welcome};
use pynenc::prelude::*;
use pynenc::testing::TestApp;

async fn app() -> Result<TestApp> {
    TestApp::with(|builder| builder.state(Postbox(Mutex::default()))).await
}

#[tokio::test]
async fn a_welcome_submits_two_mails() -> Result<()> {
    let app = app().await?;
    app.submit(welcome("ana@example.org".to_owned())).await?.result().await?;
    let mails = app.submitted::<send_mail>().await?;
    let subjects: Vec<_> = mails.iter().map(|mail| mail.arguments.subject.as_str()).collect();
    assert_eq!(subjects, ["welcome", "how is it going?"]);
    assert!(mails.iter().all(|mail| mail.arguments.to == "ana@example.org"));
    Ok(())
}

#[tokio::test]
async fn the_second_mail_waits_for_eight_hours() -> Result<()> {
    let app = app().await?;
    app.submit(welcome("ana@example.org".to_owned())).await?;
    app.advance(hours(7)).await;
    let statuses = async || -> Result<Vec<Status>> {
        Ok(app.submitted::<send_mail>().await?.into_iter().map(|mail| mail.status).collect())
    };
    assert_eq!(statuses().await?, [Status::Success, Status::Scheduled]);
    app.advance(hours(1)).await;
    assert_eq!(statuses().await?, [Status::Success, Status::Success]);
    Ok(())
}

#[tokio::test]
async fn a_runner_does_not_start_without_a_required_state() {
    let Err(Error::Injection { type_name, .. }) = TestApp::new().await else { panic!("`send_mail` needs a `Postbox`") };
    assert!(type_name.ends_with("Postbox"));
}
