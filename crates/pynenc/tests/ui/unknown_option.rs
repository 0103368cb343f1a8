use pynenc::prelude::*;

#[task(max_retry = 3)]
fn pay(_amount: u64) {}

#[task(colour = "red")]
fn paint() {}

fn main() {
    let _call = pay(1);
}
