use pynenc::prelude::*;

#[task]
fn pay<T>(amount: T) {}

#[task]
fn add<const N: usize>() {}

#[task]
fn sum(amount: u64)
where
    u64: Copy,
{
}

fn main() {}
