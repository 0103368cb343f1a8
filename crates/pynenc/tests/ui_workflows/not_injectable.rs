use pynenc::prelude::*;

struct Db;

#[task]
fn pay(#[inject] db: Db) {
    let _db = db;
}

fn main() {}
