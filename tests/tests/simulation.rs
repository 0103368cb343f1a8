//! Runs thousands of simulations of crashing workers, each drawn from a seed.

use std::sync::Arc;

use pynenc_mem::{MemBroker, MemOrchestrator, MemStateBackend, MemTriggerStore};
use pynenc_testkit::ManualClock;
use pynenc_testkit::simulation::{Mutation, Report, Stores, Violation, simulate};

fn run(seed: u64, mutation: Mutation) -> Result<Report, Violation> {
    simulate(seed, stores, mutation)
}

fn stores(clock: ManualClock) -> Stores {
    let clock = Arc::new(clock);
    Stores {
        broker: Arc::new(MemBroker::new(clock.clone())),
        orchestrator: Arc::new(MemOrchestrator::new(clock.clone())),
        state: Arc::new(MemStateBackend::new(clock.clone())),
        triggers: Arc::new(MemTriggerStore::new(clock)),
    }
}

/// `SIMULATION_SEED=7` runs one seed, `SIMULATION_SEEDS=100000` runs more of them.
fn seeds(count: u64, first: u64) -> std::ops::Range<u64> {
    let variable = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = variable("SIMULATION_SEED") {
        return seed..seed + 1;
    }
    first..first + variable("SIMULATION_SEEDS").map_or(count, |total| total / 2)
}

fn promises_hold(seeds: std::ops::Range<u64>) {
    let mut total = Report::default();
    for seed in seeds.clone() {
        let report = run(seed, Mutation::None).unwrap_or_else(|violation| panic!("{violation}"));
        total.steps += report.steps;
        total.crashes += report.crashes;
        total.stalls += report.stalls;
    }
    println!("{} seeds: {total:?}", seeds.end - seeds.start);
}

#[test]
fn promises_hold_for_the_first_half_of_the_seeds() {
    promises_hold(seeds(1500, 0));
}

#[test]
fn promises_hold_for_the_second_half_of_the_seeds() {
    promises_hold(seeds(1500, 1_000_000));
}

#[test]
fn a_seed_gives_the_same_simulation_twice() {
    for seed in 0..5 {
        assert_eq!(run(seed, Mutation::None).unwrap(), run(seed, Mutation::None).unwrap(), "seed {seed}");
    }
}

/// Checks that the oracles notice a protocol bug within 400 seeds.
fn is_caught(mutation: Mutation, promises: &[&str]) {
    let violation =
        (0..400).find_map(|seed| run(seed, mutation).err()).expect("an oracle notices the bug within 400 seeds");
    println!("{mutation:?} is caught: {violation}");
    assert!(promises.contains(&violation.promise), "{violation}");
}

#[test]
fn comparing_only_statuses_is_caught() {
    is_caught(
        Mutation::StatusNames,
        &["a success has the outcome of the epoch that committed", "exactly one final outcome is recorded"],
    );
}

#[test]
fn a_commit_without_its_outcome_is_caught() {
    is_caught(Mutation::SuffixWithoutPrefix, &["a success has the outcome of the epoch that committed"]);
}

#[test]
fn outcomes_that_ignore_epochs_are_caught() {
    is_caught(Mutation::OutcomesWithoutEpoch, &["a success has the outcome of the epoch that committed"]);
}
