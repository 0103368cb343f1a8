//! Many workflows that wait for long.

use pynenc::core::orchestrator::Find;
use pynenc::prelude::*;
use pynenc::{InvocationId, Reason};

use crate::stores::app;

const SLEEPERS: u64 = 10_000;

#[workflow]
async fn wakes(#[inject] wf: Workflow, n: u64) -> Result<u64> {
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
async fn ten_thousand_sleep_on_one_runner_and_all_wake_on_time() {
    let (app, _) = app(|builder| builder.tasks(tasks![wakes])).await;
    let group = app.submit_all((0..SLEEPERS).map(wakes)).await.unwrap();
    app.advance(minutes(10)).await;
    assert_eq!((count(&app, Status::Scheduled).await, count(&app, Status::Running).await), (SLEEPERS, 0));
    app.advance(minutes(49)).await;
    assert_eq!(count(&app, Status::Scheduled).await, SLEEPERS, "nobody is early");
    app.advance(minutes(65)).await;
    assert_eq!(count(&app, Status::Success).await, SLEEPERS);
    let late = group.results().await.unwrap();
    assert!(late.iter().all(|late| *late <= 2), "{:?} seconds late", late.iter().max());
}

#[tokio::test]
async fn each_of_ten_thousand_is_woken_by_its_own_event_alone() {
    let (app, _) = app(|builder| builder.tasks(tasks![waits])).await;
    let group = app.submit_all((0..SLEEPERS).map(waits)).await.unwrap();
    app.advance(minutes(10)).await;
    assert_eq!(count(&app, Status::Scheduled).await, SLEEPERS);
    for n in (0..SLEEPERS).step_by(2) {
        app.emit_event("go", &n).key(&n.to_string()).await.unwrap();
    }
    app.advance(minutes(1)).await;
    assert_eq!((count(&app, Status::Scheduled).await, count(&app, Status::Success).await), (5_000, 5_000));
    assert_eq!(group.invocations()[4242].result().await.unwrap(), 4242);
    let asleep = Find { statuses: vec![Status::Scheduled], limit: 1, ..Find::default() };
    let one: InvocationId = app.parts().orchestrator.find(&asleep).await.unwrap().items[0].id;
    let history = app.history(one).await.unwrap();
    assert_eq!(history.iter().filter(|entry| entry.reason == Reason::Claimed).count(), 1, "{history:#?}");
}
