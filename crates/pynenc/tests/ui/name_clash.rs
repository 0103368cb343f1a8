use pynenc::prelude::*;

#[allow(non_camel_case_types)]
struct pay {}

#[task]
fn pay(_amount: u64) {}

fn main() {}
