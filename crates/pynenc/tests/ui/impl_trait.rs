use pynenc::prelude::*;

#[task]
fn pay(amount: impl Into<u64>) {}

#[task]
fn amounts() -> impl Iterator<Item = u64> {
    [1].into_iter()
}

fn main() {}
