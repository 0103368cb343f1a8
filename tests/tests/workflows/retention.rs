//! Tests of the retention of workflows, and of fenced journals.

use pynenc::PynencBuilder;
use pynenc::core::Digest;
use pynenc::core::ErrorKind;
use pynenc::core::orchestrator::Find;
use pynenc::core::state_backend::{JournalEntry, Listing};
use pynenc::prelude::*;

use crate::stores::app;

#[task]
async fn child(n: u64) -> Result<u64> {
    if n == 0 { Err(Error::other("zero")) } else { Ok(n) }
}

#[workflow]
async fn long(#[inject] wf: Workflow) -> Result<u64> {
    let first = wf.execute(child(1)).await?;
    wf.sleep(hours(24 * 30)).await?;
    wf.set_data("first", &first).await?;
    Ok(first + wf.execute(child(2)).await?)
}

#[workflow]
async fn fails(#[inject] wf: Workflow) -> Result<u64> {
    wf.execute(child(1)).await?;
    wf.execute(child(0)).await
}

#[workflow]
async fn waits(#[inject] wf: Workflow) -> Result<()> {
    wf.wait_for_event("never").within(hours(1)).await.map(|_: Option<u64>| ())
}

/// Sets long service intervals, so that months of virtual time pass quickly.
fn slow(builder: PynencBuilder) -> PynencBuilder {
    let settings = [
        ("runner.heartbeat_interval", "20m"),
        ("runner.lease", "1h"),
        ("runner.sweep_interval", "20m"),
        ("retention.interval", "30m"),
        ("workflow.offer_timeout", "1h"),
        ("triggers.offer_timeout", "1h"),
        ("triggers.definition_life", "3h"),
    ];
    settings.into_iter().fold(builder, |builder, (key, value)| builder.set(key, value))
}

async fn kept(app: &Pynenc) -> usize {
    app.parts().orchestrator.find(&Find { limit: 1000, ..Find::default() }).await.unwrap().items.len()
}

#[tokio::test]
async fn children_and_journals_share_their_workflows_retention() {
    let (app, _) = app(|builder| slow(builder).tasks(tasks![child, long, waits])).await;
    let invocation = app.submit(long()).await.unwrap();
    app.submit(waits()).await.unwrap();
    app.submit(child(3)).await.unwrap();
    app.advance(hours(24 * 10)).await;
    assert_eq!(kept(&app).await, 2, "only the workflow and its child are kept");
    assert_eq!(app.workflows().tree(invocation.id()).await.unwrap().children.len(), 1);
    app.advance(hours(24 * 20)).await;
    assert_eq!(invocation.result().await.unwrap(), 3);
    app.advance(hours(25)).await;
    assert!(matches!(app.workflows().journal(invocation.id()).await, Err(Error::InvocationNotFound(_))));
    app.advance(hours(2)).await;
    assert_eq!(kept(&app).await, 0);
    let state = &app.parts().state;
    assert_eq!(state.list(&Listing::WorkflowRuns, None, 10).await.unwrap().items, []);
    assert_eq!(state.workflow_data(invocation.id(), "first").await.unwrap(), None);
    assert_eq!(state.list(&Listing::PutBefore(std::time::Duration::ZERO), None, 10).await.unwrap().items, []);
}

#[tokio::test]
async fn a_run_is_kept_as_long_as_its_retry() {
    let (app, _) = app(|builder| slow(builder).set("retention.failures", "10days").tasks(tasks![child, fails])).await;
    let first = app.submit(fails()).await.unwrap();
    first.result().await.unwrap_err();
    app.advance(hours(24 * 9)).await;
    let second = app.invocation::<fails>(app.retry(first.id()).await.unwrap());
    second.result().await.unwrap_err();
    app.advance(hours(24 * 9)).await;
    assert!(app.status(first.id()).await.is_ok(), "the retry still needs the first run's data");
    app.advance(hours(24 * 3)).await;
    assert_eq!(kept(&app).await, 0);
}

#[tokio::test]
async fn a_stale_owner_appends_nothing() {
    let (app, _) = app(|builder| builder.tasks(tasks![child, long])).await;
    let invocation = app.submit(long()).await.unwrap();
    app.advance(minutes(1)).await;
    let (state, id) = (&app.parts().state, invocation.id());
    let entry = JournalEntry {
        position: "3".into(),
        kind: "step".into(),
        name: "late".into(),
        arguments: Digest::of(b""),
        value: pynenc::core::record::Payload::Inline(b"1".to_vec().into()),
    };
    let error = state.append_journal(id, 0, &[entry]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced);
    assert_eq!(app.workflows().journal(id).await.unwrap().len(), 2);
}
