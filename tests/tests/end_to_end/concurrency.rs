//! Tests of registration and running concurrency.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use pynenc::prelude::*;
use pynenc::testing::TestApp;

#[derive(Default)]
struct Service {
    inside: AtomicUsize,
    most: AtomicUsize,
    calls: AtomicUsize,
}

impl Service {
    async fn visit(&self) {
        let inside = self.inside.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(inside, Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(secs(1)).await;
        self.inside.fetch_sub(1, Ordering::Relaxed);
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

#[task(registration_concurrency = task)]
async fn one_waits(n: u32) -> u32 {
    n
}

#[task(registration_concurrency = keys(account), on_diff_non_key_args_raise = true)]
async fn one_waits_for_each_account(account: u32, amount: u32) -> u32 {
    account + amount
}

#[task(running_concurrency = task, reroute_on_concurrency_control = true)]
async fn one_runs(#[inject] service: State<Service>) {
    service.visit().await;
}

#[task(running_concurrency = keys(account), running_limit = 3, reroute_on_concurrency_control = true)]
async fn three_run_for_each_account(#[inject] service: State<Service>, account: u32, n: u32) -> u32 {
    service.visit().await;
    account * 100 + n
}

#[task(running_concurrency = task)]
async fn one_runs_or_none(#[inject] service: State<Service>) {
    service.visit().await;
}

#[task(running_concurrency = task, max_retries = 2, backoff = constant("1s"))]
async fn one_runs_and_fails(#[inject] context: TaskContext, #[inject] service: State<Service>) -> Result<u32, String> {
    service.visit().await;
    if context.attempt_number() < 3 { Err("again".into()) } else { Ok(context.attempt_number()) }
}

#[task]
async fn most_at_once(#[inject] service: State<Service>) -> usize {
    service.most()
}

#[task(running_concurrency = task, reroute_on_concurrency_control = true)]
async fn one_runs_in_order(n: u32, #[inject] order: State<Mutex<Vec<u32>>>) {
    order.lock().unwrap().push(n);
    tokio::task::yield_now().await;
}

#[task]
async fn sleeps() {
    tokio::time::sleep(secs(1)).await;
}

#[task(running_concurrency = task, reroute_on_concurrency_control = true)]
async fn holds_the_slot() {
    std::future::pending::<()>().await;
}

#[task(registration_concurrency = task)]
async fn one_waits_with_a_map(map: HashMap<String, u32>, n: u32) -> usize {
    map.len() + n as usize
}

#[task]
async fn order_so_far(#[inject] order: State<Mutex<Vec<u32>>>) -> Vec<u32> {
    order.lock().unwrap().clone()
}

async fn app() -> TestApp {
    TestApp::with(|builder| {
        builder.without_linked_tasks().tasks(all_tasks()).state(Service::default()).state(Mutex::new(Vec::<u32>::new()))
    })
    .await
    .unwrap()
}

async fn most(app: &TestApp) -> usize {
    app.submit(most_at_once()).await.unwrap().result().await.unwrap()
}

fn all_tasks() -> Vec<&'static pynenc::engine::TaskDefinition> {
    tasks![
        one_waits,
        one_waits_for_each_account,
        one_runs,
        three_run_for_each_account,
        one_runs_or_none,
        one_runs_and_fails,
        one_runs_in_order,
        order_so_far,
        sleeps,
        holds_the_slot,
        one_waits_with_a_map,
        most_at_once
    ]
    .into()
}

#[tokio::test]
async fn a_second_submit_reuses_the_waiting_invocation() {
    let app = app().await;
    let first = app.submit(one_waits(1).delay(minutes(1))).await.unwrap();
    let second = app.submit(one_waits(2)).await.unwrap();
    assert_eq!((second.id(), first.is_reused(), second.is_reused()), (first.id(), false, true));
    let diff: Vec<_> = second.diff().iter().map(ToString::to_string).collect();
    assert_eq!(diff, ["n: waiting with 1, called with 2"]);
    assert_eq!(second.result().await.unwrap(), 1);
    assert!(!app.submit(one_waits(3)).await.unwrap().is_reused(), "the first invocation has finished");
}

#[tokio::test]
async fn a_batch_reuses_its_own_duplicates() {
    let app = app().await;
    let group = app.submit_all((0..3).map(|n| one_waits(n).delay(secs(1)))).await.unwrap();
    assert_eq!(group.results().await.unwrap(), [0, 0, 0]);
}

#[tokio::test]
async fn different_non_key_arguments_can_be_refused() {
    let app = app().await;
    let call = |account, amount| one_waits_for_each_account(account, amount).delay(minutes(1));
    let first = app.submit(call(1, 10)).await.unwrap();
    assert!(app.submit(call(1, 10)).await.unwrap().is_reused());
    assert!(!app.submit(call(2, 10)).await.unwrap().is_reused());
    match app.submit(call(1, 11)).await {
        Err(error @ Error::ArgumentsDiffer { .. }) => {
            let text = error.to_string();
            assert!(
                text.contains("amount: waiting with 10, called with 11") && text.contains(&first.id().to_string()),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_runs_at_a_time_and_all_of_them_run() {
    let app = app().await;
    app.submit_all((0..20).map(|_| one_runs())).await.unwrap().results().await.unwrap();
    assert_eq!(most(&app).await, 1);
}

#[tokio::test]
async fn the_limit_applies_to_each_key() {
    let app = app().await;
    let calls = (0..24).map(|n| three_run_for_each_account(n % 2, n));
    let values = app.submit_all(calls).await.unwrap().results().await.unwrap();
    assert_eq!(values, (0..24).map(|n| n % 2 * 100 + n).collect::<Vec<_>>());
    assert_eq!(most(&app).await, 6, "three of each of two accounts");
}

#[tokio::test]
async fn an_invocation_without_a_slot_can_be_dropped() {
    let app = app().await;
    let group = app.submit_all((0..5).map(|_| one_runs_or_none())).await.unwrap();
    let mut dropped = 0;
    for invocation in group.invocations() {
        dropped += usize::from(matches!(invocation.result().await, Err(Error::DroppedByConcurrencyControl(_))));
    }
    assert_eq!((dropped, most(&app).await), (4, 1));
}

#[tokio::test]
async fn a_retry_without_a_slot_is_parked_and_not_dropped() {
    let app = app().await;
    let retrying = app.submit(one_runs_and_fails()).await.unwrap();
    let next = app.submit(one_runs_and_fails().delay(millis(1_500))).await.unwrap();
    assert_eq!((retrying.result().await.unwrap(), most(&app).await), (3, 1));
    assert!(next.result().await.is_ok());
}

#[tokio::test]
async fn a_cancelled_holder_hands_its_slot_to_the_next() {
    let app = app().await;
    let group = app.submit_all((0..3).map(|_| one_runs())).await.unwrap();
    app.run_until_idle().await;
    let statuses = async || {
        let mut statuses = Vec::new();
        for invocation in group.invocations() {
            statuses.push(invocation.status().await.unwrap());
        }
        statuses
    };
    let [parked, running] = [Status::ConcurrencyControlled, Status::Running];
    assert_eq!(statuses().await, [running, parked, parked]);
    group.invocations()[1].cancel().await.unwrap();
    group.invocations()[0].cancel().await.unwrap();
    app.run_until_idle().await;
    assert_eq!(statuses().await, [Status::Cancelled, Status::Cancelled, running]);
}

#[tokio::test]
async fn slots_follow_the_order_of_the_queue() {
    let app = app().await;
    let calls = (0..10).map(|n| one_runs_in_order(n).priority(if n == 7 { 9 } else { 5 }));
    app.submit_all(calls).await.unwrap().results().await.unwrap();
    let order = app.submit(order_so_far()).await.unwrap().result().await.unwrap();
    assert_eq!(order, [7, 0, 1, 2, 3, 4, 5, 6, 8, 9]);
}

/// A handed-over slot is idle until its new holder runs, so the holder runs before a backlog of other tasks.
#[tokio::test]
async fn a_handed_over_slot_is_used_before_the_backlog() {
    let app = TestApp::with(|builder| {
        let builder = builder.without_linked_tasks().tasks(all_tasks()).set("runner.concurrency", 2);
        builder.state(Service::default()).state(Mutex::new(Vec::<u32>::new()))
    });
    let app = app.await.unwrap();
    let holder = app.submit(holds_the_slot()).await.unwrap();
    let parked = app.submit(holds_the_slot()).await.unwrap();
    app.run_until_idle().await;
    app.submit_all((0..20).map(|_| sleeps())).await.unwrap();
    app.run_until_idle().await;
    assert_eq!(parked.status().await.unwrap(), Status::ConcurrencyControlled);
    holder.cancel().await.unwrap();
    app.run_until_idle().await;
    assert_eq!(parked.status().await.unwrap(), Status::Running);
    assert_eq!(app.count(Status::Registered).await.unwrap(), 19);
}

#[tokio::test]
async fn a_parked_invocation_has_no_transitions_until_a_slot_is_free() {
    let app = app().await;
    let holder = app.submit(holds_the_slot()).await.unwrap();
    let parked = app.submit(holds_the_slot()).await.unwrap();
    app.advance(hours(3)).await;
    let statuses = async || {
        let history = parked.history().await.unwrap();
        history.iter().map(|line| line.status).collect::<Vec<_>>()
    };
    assert_eq!(statuses().await, [Status::Registered, Status::ConcurrencyControlled]);
    holder.cancel().await.unwrap();
    app.run_until_idle().await;
    assert_eq!(statuses().await[2..], [Status::Rerouted, Status::Pending, Status::Running]);
}

/// Maps with the same entries are equal arguments, whatever the order of their entries.
#[tokio::test]
async fn equal_maps_are_equal_arguments() {
    let app = app().await;
    let map = || (0..40).map(|n| (n.to_string(), n)).collect::<HashMap<_, _>>();
    let first = app.submit(one_waits_with_a_map(map(), 1).delay(minutes(1))).await.unwrap();
    let second = app.submit(one_waits_with_a_map(map(), 2)).await.unwrap();
    assert_eq!(first.id(), second.id());
    let diff: Vec<_> = second.diff().iter().map(ToString::to_string).collect();
    assert_eq!(diff, ["n: waiting with 1, called with 2"]);
}
