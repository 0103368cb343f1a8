use pynenc::prelude::*;

#[task]
struct Pay;

fn main() {}
