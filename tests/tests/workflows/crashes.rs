//! Tests that a workflow gives the same result and calls nothing twice, whichever call is the last one of its process.

use std::collections::BTreeSet;

use pynenc::core::orchestrator::Find;
use pynenc::prelude::*;
use pynenc::{PynencBuilder, RunnerHandle};
use pynenc_testkit::failing::{Fails, Fuse};

use crate::stores::{Notes, Stores, at_every_call};

#[task]
async fn child(n: u64) -> u64 {
    10 * n
}

#[task]
async fn declines(n: u64) -> Result<u64> {
    Err(Error::other(format!("{n} is declined")))
}

/// A chain of operations in its own branch.
async fn chain(wf: Workflow) -> Result<u64> {
    let one = wf.execute(child(4)).await?;
    wf.sleep(secs(3)).await?;
    Ok(one + wf.execute(child(5)).await?)
}

#[workflow]
async fn journey(#[inject] wf: Workflow, #[inject] notes: State<Notes>) -> Result<Vec<u64>> {
    let chance = (wf.random().await? * 1000.0) as u64;
    let one = wf.execute(child(1)).await?;
    let more = wf.execute_all([child(2), child(3)]).await?;
    let step = wf.step("noted", || async { Ok::<_, Error>(noted(&notes)) }).await?;
    wf.set_data("one", &one).await?;
    let (chained, slept) = tokio::join!(chain(wf.branch("chain")), wf.sleep(secs(2)));
    slept?;
    let declined = wf.execute(declines(6)).await.unwrap_err().to_string().len() as u64;
    let kept: Option<u64> = wf.get_data("one").await?;
    let event: u64 = wf.wait_for_event("go on").key("journey").await?;
    let in_vain: Option<u64> = wf.wait_for_event("never").within(secs(5)).await?;
    Ok(vec![chance, one, more[0], more[1], step, chained?, declined, kept.unwrap_or(0), event, in_vain.unwrap_or(1)])
}

fn noted(notes: &Notes) -> u64 {
    notes.add("step");
    7
}

fn app(stores: &Stores, notes: &Notes) -> PynencBuilder {
    stores.builder().state(notes.clone()).tasks(tasks![child, declines, journey])
}

async fn run(stores: &Stores, notes: &Notes) -> Option<RunnerHandle> {
    app(stores, notes).build().await.ok()?.start_runner().await.ok()
}

async fn found<T: Task>(app: &Pynenc) -> usize {
    let find = Find { task: Some(T::definition().name.into()), limit: 100, ..Default::default() };
    app.parts().orchestrator.find(&find).await.unwrap().items.len()
}

/// Runs a journey whose first process fails at one call, permanently or once. Returns whether the process reached that
/// call.
async fn scenario(fuse: Fuse) -> bool {
    let (stores, notes) = (Stores::new(), Notes::default());
    let client = app(&stores, &notes).build().await.unwrap();
    let invocation = client.submit(journey()).await.unwrap();
    let failing = run(&stores.failing(&fuse), &notes).await;
    tokio::time::sleep(secs(10)).await;
    client.emit_event("go on", &42).key("journey").await.unwrap();
    tokio::time::sleep(secs(15)).await;
    let reached_fuse = fuse.is_blown();
    if let Some(runner) = failing {
        runner.shutdown_now().await.ok();
    }
    // The second process finishes the work of the first after its lease and the offer timeout.
    let second = run(&stores, &notes).await.unwrap();
    tokio::time::sleep(secs(50)).await;
    let value = invocation.result_timeout(secs(1)).await.unwrap_or_else(|error| panic!("{fuse:?}: {error}"));
    second.shutdown().await.unwrap();
    let chance = value[0];
    let same = client.workflows().journal(invocation.id()).await.unwrap()[0].value.as_f64().unwrap() * 1000.0;
    assert_eq!(chance, same as u64);
    assert_eq!(value[1..], [10, 20, 30, 7, 90, 45, 10, 42, 1], "{fuse:?}");
    assert_eq!((found::<child>(&client).await, found::<declines>(&client).await), (5, 1), "{fuse:?}");
    assert!(notes.sorted().len() <= 2, "{fuse:?}: a step is repeated only if it wasn't recorded");
    recorded_once(&client, &invocation).await;
    reached_fuse
}

async fn recorded_once(client: &Pynenc, invocation: &Invocation<journey>) {
    let steps = client.workflows().journal(invocation.id()).await.unwrap();
    let positions: BTreeSet<_> = steps.iter().map(|step| step.position.as_str()).collect();
    assert_eq!(positions.len(), steps.len(), "{steps:#?}");
    let record = client.status(invocation.id()).await.unwrap();
    assert_eq!((record.retries, record.status), (0, Status::Success));
}

async fn check_every_call(fuse: impl Fn(u64) -> Fuse) {
    let calls = at_every_call(fuse, scenario).await;
    assert!(calls > 60, "too few calls were reached: {calls}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_before_any_call_changes_nothing() {
    check_every_call(|number| Fuse::new(number, Fails::Before).fatal()).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_after_any_call_changes_nothing() {
    check_every_call(|number| Fuse::new(number, Fails::After).fatal()).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_once_changes_nothing() {
    check_every_call(|number| Fuse::new(number, Fails::Before)).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_loses_its_reply_once_changes_nothing() {
    check_every_call(|number| Fuse::new(number, Fails::After)).await;
}
