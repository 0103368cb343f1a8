use pynenc::prelude::*;

struct Declined;

#[task]
fn pay(_amount: u64) -> Result<u64, Declined> {
    Err(Declined)
}

fn main() {}
