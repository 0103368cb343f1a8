use pynenc::prelude::*;

#[task(triggers = "0 3 * * *")]
fn pay(_amount: u64) {}

fn main() {}
