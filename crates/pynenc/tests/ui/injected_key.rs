use pynenc::prelude::*;

#[task(registration_concurrency = keys(context))]
fn pay(#[inject] context: TaskContext) {
    let _context = context;
}

fn main() {}
