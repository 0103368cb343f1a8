use pynenc::prelude::*;

struct Receipt;

#[task]
fn pay(_amount: u64) -> Receipt {
    Receipt
}

fn main() {}
