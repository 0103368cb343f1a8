use pynenc::prelude::*;

#[task(priority = 10)]
fn urgent() {}

#[task(timeout = "30x")]
fn slow() {}

#[task(running_limit = 0, backoff = linear, fence = stop)]
fn odd() {}

#[task(running_concurrency = tasks)]
fn alone() {}

fn main() {}
