use pynenc::prelude::*;

struct Shop;

impl Shop {
    #[task]
    fn pay(&self, amount: u64) {}
}

fn main() {}
