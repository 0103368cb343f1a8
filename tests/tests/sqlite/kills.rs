//! Tests that kill workers, and end them at each of their commits.

use pynenc::Reason;
use pynenc_testkit::TestProcess;
use pynenc_tests::worker_tasks::{gated, noted};

use crate::fleet::{Fleet, result_of};

/// The commits of a worker at which it ends. The first ones register it, the others claim, settle and renew.
const COMMITS: u64 = 12;
/// The calls of one scenario.
const CALLS: usize = 6;

#[tokio::test]
async fn the_invocation_of_a_killed_worker_is_run_by_another() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let invocation = app.submit(gated("a".into())).await.unwrap();
    let mut killed = fleet.worker();
    fleet.ledger().reaches(1, "begin a").await;
    killed.kill9();
    let _other = fleet.worker();
    fleet.ledger().reaches(2, "begin a").await;
    fleet.shared.open("a").unwrap();
    assert_eq!(result_of(&invocation).await.unwrap(), "a");
    let history = invocation.history().await.unwrap();
    let times = |reason| history.iter().filter(|entry| entry.reason == reason).count();
    assert_eq!((times(Reason::Claimed), times(Reason::OwnerLost)), (2, 1));
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_new_fleet_runs_the_invocations_of_a_killed_fleet() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let group = app.submit_all((0..24).map(|_| gated("a".into()))).await.unwrap();
    let mut killed = [fleet.worker(), fleet.worker()];
    fleet.ledger().reaches(16, "begin a").await;
    killed.iter_mut().for_each(TestProcess::kill9);
    fleet.shared.open("a").unwrap();
    let _next = fleet.worker();
    for invocation in group.invocations() {
        assert_eq!(result_of(invocation).await.unwrap(), "a");
    }
    assert_eq!(fleet.ledger().count("begin a"), 16 + 24);
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_worker_that_ends_before_any_commit_loses_nothing() {
    ends_at_each_commit("PYNENC_ABORT_BEFORE_COMMIT").await;
}

#[tokio::test]
async fn a_worker_that_ends_after_any_commit_loses_nothing() {
    ends_at_each_commit("PYNENC_ABORT_AFTER_COMMIT").await;
}

async fn ends_at_each_commit(variable: &str) {
    for commit in 1..=COMMITS {
        let fleet = Fleet::new();
        let app = fleet.client().await;
        let group = app.submit_all((0..CALLS).map(|call| noted(call.to_string()))).await.unwrap();
        let mut ends = fleet.worker_where(&[(variable, &commit.to_string())]);
        let _goes_on = fleet.worker();
        for (call, invocation) in group.invocations().iter().enumerate() {
            assert_eq!(result_of(invocation).await.unwrap(), call.to_string(), "{variable}={commit}");
        }
        ends.wait().unwrap();
        fleet.holds(&app).await;
    }
}
