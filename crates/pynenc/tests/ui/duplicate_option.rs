use pynenc::prelude::*;

#[task(queue = "slow", queue = "fast")]
fn pay(_amount: u64) {}

fn main() {}
