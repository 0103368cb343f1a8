//! Whatever step is the last one of a process, each occurrence fires once.

use pynenc::prelude::*;
use pynenc::{PynencBuilder, RunnerHandle};
use pynenc_testkit::failing::{Fails, Fuse};

use crate::stores::{Notes, Stores};

#[task]
async fn source(n: u64) -> u64 {
    n
}

#[task]
async fn event_target(n: u64) -> u64 {
    n
}

#[task]
async fn end_target(n: u64) -> u64 {
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
        .tasks(tasks![source, event_target, end_target, slot_target, pair_target])
        .trigger(on_event::<u64>("n").call(|cx| event_target(*cx.payload())).id("event"))
        .trigger(on_success::<source>().call(|cx| end_target(*cx.result())).id("end"))
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

/// The invocations of a task by how often they succeeded, and those that didn't end.
async fn successes<T: Task>(app: &Pynenc) -> usize {
    let find =
        pynenc::core::orchestrator::Find { task: Some(T::definition().name.into()), limit: 100, ..Default::default() };
    let found = app.parts().orchestrator.find(&find).await.unwrap().items;
    assert!(found.iter().all(|item| item.record.status == Status::Success), "{found:?}");
    found.len()
}

/// One event, one end, one slot and one pair, in a world whose first process fails at a call, for good or once. Tells
/// whether the process came so far.
async fn world(fuse: Fuse) -> bool {
    let stores = Stores::new();
    let client = app(&stores).build().await.unwrap();
    // A new schedule waits for its next slot: this one is known before.
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
    let came_so_far = fuse.is_blown();
    if let Some(runner) = failing {
        runner.shutdown_now().await.ok();
    }
    // The second process finishes what the first one left, within its lease and the time of an offer.
    let second = run(&stores).await.unwrap();
    tokio::time::sleep(secs(50)).await;
    second.shutdown().await.unwrap();
    assert_eq!(successes::<source>(&client).await, 1);
    assert_eq!(successes::<event_target>(&client).await, 1);
    assert_eq!(successes::<end_target>(&client).await, 1);
    assert_eq!(successes::<slot_target>(&client).await, 1);
    assert_eq!(successes::<pair_target>(&client).await, 1);
    came_so_far
}

async fn every_call(fuse: impl Fn(u64) -> Fuse) {
    let mut number = 1;
    while world(fuse(number)).await {
        number += 1;
    }
    assert!(number > 40, "the calls are counted: {number}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_before_any_call_takes_nothing_with_it() {
    every_call(|number| Fuse::new(number, Fails::Before).fatal()).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_after_any_call_takes_nothing_with_it() {
    every_call(|number| Fuse::new(number, Fails::After).fatal()).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_or_loses_its_reply_repeats_nothing() {
    every_call(|number| Fuse::new(number, Fails::Before)).await;
    every_call(|number| Fuse::new(number, Fails::After)).await;
}
