use pynenc::prelude::*;

struct pay;

#[task]
fn pay(_amount: u64) {}

fn main() {}
