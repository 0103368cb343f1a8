//! Trials of [`Orchestrator`](pynenc_core::Orchestrator).

mod cancelling;
mod claiming;
mod given;
mod listing;
mod outbox;
mod registering;
mod retention;
mod runners;
mod statuses;
mod transitions;
mod waiting;

use super::{Trial, suite};
use given::Given;

suite!($ Orchestrator, orchestrator, orchestrator_conformance);

/// The trials, in the order of the trait's documentation.
pub fn trials() -> Vec<Trial<Given>> {
    let groups = [
        registering::trials(),
        claiming::trials(),
        transitions::trials(),
        cancelling::trials(),
        listing::trials(),
        waiting::trials(),
        runners::trials(),
        outbox::trials(),
        retention::trials(),
    ];
    groups.into_iter().flatten().collect()
}
