//! The numbers of operations that each step of an invocation's lifecycle performs on a store.

use pynenc_core::broker::Pop;
use pynenc_core::lane::{Claimed, Settlement};
use pynenc_core::orchestrator::{Claim, ClaimReply, Transition};
use pynenc_core::record::{Outcome, Payload};
use pynenc_core::state_backend::OutcomeWrite;
use pynenc_core::status::{By, Change};
use pynenc_core::{Reason, RunnerId, Status};

use crate::World;
use crate::failures::{pop, submission};

fn settlement(claimed: &Claimed) -> Settlement {
    let ClaimReply::Granted(tracked) = &claimed.reply else { panic!("{claimed:?}") };
    let (id, seen) = (tracked.id, tracked.record.clone());
    let outcome =
        Outcome::Value { value: Payload::Inline(bytes::Bytes::from_static(b"1")), serializer: "JsonSerializer".into() };
    let outcome = Some(OutcomeWrite { id, epoch: seen.epoch, outcome });
    let change = Change::new(Status::Success, By::Owner(seen.owner.expect("it runs")), Reason::Returned);
    Settlement { outcome, transition: Transition { id, seen, change }, requeue: None }
}

/// Performs whole lifecycles in batches of a size. Returns the reads and writes of submit, claim and settle.
async fn lifecycles(size: usize) -> [(usize, usize); 3] {
    let (world, runner) = (World::new(), RunnerId::new());
    let mut costs = [(0, 0); 3];
    // The second round finds the rows that the first one has made.
    for _ in 0..2 {
        world.lane.submit((0..size).map(|_| submission()).collect()).await.expect("submit");
        costs[0] = world.map.take_operations();
        let (claim, pop) = (Claim::new(Vec::new(), runner).running_below(1), Pop { ..pop(size) });
        let claimed = world.lane.claim(&claim, Some(&pop)).await.expect("claim");
        costs[1] = world.map.take_operations();
        world.lane.settle(claimed.iter().map(settlement).collect()).await.expect("settle");
        costs[2] = world.map.take_operations();
    }
    costs
}

#[tokio::test]
async fn each_step_performs_few_operations() {
    let (one, many) = (lifecycles(1).await, lifecycles(101).await);
    let more = |step: usize| ((many[step].0 - one[step].0) / 100, (many[step].1 - one[step].1) / 100);
    assert_eq!(one, [(6, 11), (8, 8), (4, 5)], "reads and writes of one submit, claim and settlement");
    assert_eq!([more(0), more(1), more(2)], [(2, 7), (2, 5), (2, 4)], "reads and writes of each more in a batch");
}
