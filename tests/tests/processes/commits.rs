//! Tests that end workers at each of their commits to a SQLite file.

use pynenc_tests::worker_tasks::noted;

use crate::fleet::{Fleet, Store, result_of};

/// The commits of a worker at which it ends. The first ones register it, the others claim, settle and renew.
const COMMITS: u64 = 12;
/// The calls of one scenario.
const CALLS: usize = 6;

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
        let fleet = Fleet::over(Store::Sqlite);
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
