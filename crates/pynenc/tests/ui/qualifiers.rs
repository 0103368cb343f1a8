use pynenc::prelude::*;

#[task]
unsafe fn pay(amount: u64) {}

#[task]
extern "C" fn refund(amount: u64) {}

#[task]
const fn add(x: u64, y: u64) -> u64 {
    x + y
}

fn main() {}
