//! Tests that each occurrence fires once, whichever call is the last one of its process.

use pynenc::prelude::*;
use pynenc::{PynencBuilder, RunnerHandle};
use pynenc_testkit::failing::{Fails, Fuse};

use crate::stores::{Notes, Stores, at_every_call};

#[task]
async fn source(n: u64) -> u64 {
    n
}

#[task]
async fn event_target(n: u64) -> u64 {
    n
}

#[task]
async fn completion_target(n: u64) -> u64 {
    n
}

#[task]
async fn slot_target(at: u64) -> u64 {
    at
}

#[task]
async fn pair_target(a: u64, b: u64) -> u64 {
    a + b
}

fn app(stores: &Stores) -> PynencBuilder {
    stores
        .builder()
        .state(Notes::default())
        .tasks(tasks![source, event_target, completion_target, slot_target, pair_target])
        .trigger(on_event::<u64>("n").call(|cx| event_target(*cx.payload())).id("event"))
        .trigger(on_success::<source>().call(|cx| completion_target(*cx.result())).id("completion"))
        .trigger(on_cron("* * * * *").call(|cx| slot_target(cx.slot().as_millis())).id("slot"))
        .trigger(
            all((on_event::<u64>("a"), on_event::<u64>("b")))
                .call(|(a, b)| pair_target(*a.payload(), *b.payload()))
                .id("pair"),
        )
}

async fn run(stores: &Stores) -> Option<RunnerHandle> {
    app(stores).build().await.ok()?.start_runner().await.ok()
}

/// The number of successful invocations of a task. Fails if one hasn't succeeded.
async fn successes<T: Task>(app: &Pynenc) -> usize {
    let find =
        pynenc::core::orchestrator::Find { task: Some(T::definition().name.into()), limit: 100, ..Default::default() };
    let found = app.parts().orchestrator.find(&find).await.unwrap().items;
    assert!(found.iter().all(|item| item.record.status == Status::Success), "{found:?}");
    found.len()
}

/// Runs a scenario with one event, one completion, one slot and one pair, whose first process fails at one call,
/// permanently or once. Returns whether the process reached that call.
async fn scenario(fuse: Fuse) -> bool {
    let stores = Stores::new();
    let client = app(&stores).build().await.unwrap();
    // A new schedule waits for its next slot, so the schedule is registered before.
    let earlier = run(&stores).await.unwrap();
    tokio::time::sleep(secs(1)).await;
    earlier.shutdown().await.unwrap();
    client.emit_event("n", &1).await.unwrap();
    client.emit_event("a", &10).await.unwrap();
    client.emit_event("b", &5).await.unwrap();
    client.submit(source(7)).await.unwrap();
    let failing = run(&stores.failing(&fuse)).await;
    let minute = 60_000 - client.parts().clock.now().as_millis() % 60_000;
    tokio::time::sleep(millis(minute + 2_000)).await;
    let reached_fuse = fuse.is_blown();
    if let Some(runner) = failing {
        runner.shutdown_now().await.ok();
    }
    // The second process finishes the work of the first after its lease and the offer timeout.
    let second = run(&stores).await.unwrap();
    tokio::time::sleep(secs(50)).await;
    second.shutdown().await.unwrap();
    assert_eq!(successes::<source>(&client).await, 1);
    assert_eq!(successes::<event_target>(&client).await, 1);
    assert_eq!(successes::<completion_target>(&client).await, 1);
    assert_eq!(successes::<slot_target>(&client).await, 1);
    assert_eq!(successes::<pair_target>(&client).await, 1);
    reached_fuse
}

async fn check_every_call(fuse: impl Fn(u64) -> Fuse) {
    let calls = at_every_call(fuse, scenario).await;
    assert!(calls > 40, "too few calls were reached: {calls}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_before_any_call_loses_no_occurrence() {
    check_every_call(|number| Fuse::new(number, Fails::Before).fatal()).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_after_any_call_loses_no_occurrence() {
    check_every_call(|number| Fuse::new(number, Fails::After).fatal()).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_or_loses_its_reply_repeats_nothing() {
    check_every_call(|number| Fuse::new(number, Fails::Before)).await;
    check_every_call(|number| Fuse::new(number, Fails::After)).await;
}
