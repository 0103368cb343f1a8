use pynenc::prelude::*;

#[task]
fn add((x, y): (i64, i64)) -> i64 {
    x + y
}

#[task]
fn ignore(_: i64) {}

fn main() {}
