//! Tests with many suspended workflows.

use pynenc::core::orchestrator::Find;
use pynenc::prelude::*;
use pynenc::{InvocationId, Reason};

use crate::stores::app;

const RUNS: u64 = 10_000;

#[workflow]
async fn sleeps(#[inject] wf: Workflow, n: u64) -> Result<u64> {
    let before = wf.now().await?;
    wf.sleep(minutes(60 + n % 60)).await?;
    let slept = wf.now().await?.duration_since(before).map_err(Error::other)?;
    Ok(slept.as_secs() - 60 * (60 + n % 60))
}

#[workflow]
async fn waits(#[inject] wf: Workflow, n: u64) -> Result<u64> {
    wf.wait_for_event("go").key(&n.to_string()).await
}

async fn count(app: &Pynenc, status: Status) -> u64 {
    app.count(status).await.unwrap()
}

#[tokio::test]
async fn ten_thousand_sleeping_workflows_resume_on_time() {
    let (app, _) = app(|builder| builder.tasks(tasks![sleeps])).await;
    let group = app.submit_all((0..RUNS).map(sleeps)).await.unwrap();
    app.advance(minutes(10)).await;
    assert_eq!((count(&app, Status::Scheduled).await, count(&app, Status::Running).await), (RUNS, 0));
    app.advance(minutes(49)).await;
    assert_eq!(count(&app, Status::Scheduled).await, RUNS, "no run resumes early");
    app.advance(minutes(65)).await;
    assert_eq!(count(&app, Status::Success).await, RUNS);
    let late = group.results().await.unwrap();
    assert!(late.iter().all(|late| *late <= 2), "{:?} seconds late", late.iter().max());
}

#[tokio::test]
async fn each_of_ten_thousand_workflows_resumes_only_for_its_own_event() {
    let (app, _) = app(|builder| builder.tasks(tasks![waits])).await;
    let group = app.submit_all((0..RUNS).map(waits)).await.unwrap();
    app.advance(minutes(10)).await;
    assert_eq!(count(&app, Status::Scheduled).await, RUNS);
    for n in (0..RUNS).step_by(2) {
        app.emit_event("go", &n).key(&n.to_string()).await.unwrap();
    }
    app.advance(minutes(1)).await;
    assert_eq!((count(&app, Status::Scheduled).await, count(&app, Status::Success).await), (5_000, 5_000));
    assert_eq!(group.invocations()[4242].result().await.unwrap(), 4242);
    let suspended = Find { statuses: vec![Status::Scheduled], limit: 1, ..Find::default() };
    let one: InvocationId = app.parts().orchestrator.find(&suspended).await.unwrap().items[0].id;
    let history = app.history(one).await.unwrap();
    assert_eq!(history.iter().filter(|entry| entry.reason == Reason::Claimed).count(), 1, "{history:#?}");
}
