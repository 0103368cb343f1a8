//! The numbers of operations that each step of an invocation's lifecycle performs on a store.

use pynenc_core::RunnerId;
use pynenc_core::lane::{Claimed, Settlement};
use pynenc_core::orchestrator::{Claim, ClaimReply};
use pynenc_testkit::conformance::sample::{pop, settlement, submission};

use crate::World;

fn settled(claimed: &Claimed) -> Settlement {
    let ClaimReply::Granted(tracked) = &claimed.reply else { panic!("{claimed:?}") };
    settlement(tracked)
}

/// Performs whole lifecycles in batches of a size. Returns the reads and writes of submit, claim and settle.
async fn lifecycles(size: usize) -> [(usize, usize); 3] {
    let (world, runner) = (World::new(), RunnerId::new());
    let mut costs = [(0, 0); 3];
    // The second round finds the rows that the first one has made.
    for _ in 0..2 {
        world.lane.submit((0..size).map(|_| submission()).collect()).await.expect("submit");
        costs[0] = world.map.take_operations();
        let (claim, pop) = (Claim::new(Vec::new(), runner).running_below(1), pop(size));
        let claimed = world.lane.claim(&claim, Some(&pop)).await.expect("claim");
        costs[1] = world.map.take_operations();
        world.lane.settle(claimed.iter().map(settled).collect()).await.expect("settle");
        costs[2] = world.map.take_operations();
    }
    costs
}

#[tokio::test]
async fn each_step_performs_few_operations() {
    let (one, many) = (lifecycles(1).await, lifecycles(101).await);
    let more = |step: usize| ((many[step].0 - one[step].0) / 100, (many[step].1 - one[step].1) / 100);
    assert_eq!(one, [(6, 8), (8, 6), (3, 5)], "reads and writes of one submit, claim and settlement");
    assert_eq!([more(0), more(1), more(2)], [(2, 4), (2, 2), (1, 4)], "reads and writes of each more in a batch");
}
