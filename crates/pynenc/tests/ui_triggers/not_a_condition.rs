use pynenc::prelude::*;

#[task(triggers = "0 3 * * *")]
fn sweep() {}

fn main() {}
