use pynenc::prelude::*;

#[task(retry_for(std::fmt::Error))]
fn pay() {}

#[task(retry_for(std::fmt::Error))]
fn count() -> u64 {
    1
}

#[task(retry_if = is_passing)]
fn sum() -> u64 {
    1
}

fn is_passing(_error: &std::fmt::Error) -> bool {
    true
}

fn main() {}
