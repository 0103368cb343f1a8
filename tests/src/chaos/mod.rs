//! A house that is set on fire: real workers and clients over a real server, all of which are killed, stopped, cut off and
//! brought back at random, and then judged by the oracles.

mod arson;
mod client;
mod load;
mod measure;
mod run;
mod site;
mod soak;

use std::process::ExitCode;

use crate::work::Stage;

pub use run::{Ended, Plan};
pub use soak::{Flatness, Soaked};

/// What this process is: the variable is set by who starts it.
pub const ROLE: &str = "PYNENC_CHAOS_ROLE";

/// Does what a client process does.
///
/// # Errors
///
/// The app can't be made; a store that doesn't answer is no error.
pub async fn be_client() -> pynenc::Result<()> {
    client::run().await
}

/// Does what a worker process does, until it is told to stop.
///
/// # Errors
///
/// As [`be_client`].
pub async fn be_worker() -> pynenc::Result<()> {
    load::built(&Stage::of_environment()).await?.run().await
}

/// Breaks things for a while, lets all come to rest, and judges what is left.
pub async fn burn(plan: Plan) -> Ended {
    run::run(plan).await
}

/// Loads a house that nobody sets on fire, and looks whether it grows.
pub async fn soak(plan: Plan) -> Soaked {
    soak::run(plan).await
}

/// How a program ends that has looked at this.
pub fn exit_code(is_well: bool) -> ExitCode {
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
