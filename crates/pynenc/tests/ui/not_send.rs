use std::rc::Rc;

use pynenc::prelude::*;

#[task]
async fn pay(amount: u64) -> u64 {
    let shared = Rc::new(amount);
    std::future::ready(()).await;
    *shared
}

fn main() {}
