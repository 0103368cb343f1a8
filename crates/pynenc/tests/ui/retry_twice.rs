use pynenc::prelude::*;

#[task(retry_for(std::fmt::Error), retry_if = is_passing)]
fn pay() -> Result<(), std::fmt::Error> {
    Ok(())
}

fn is_passing(_error: &std::fmt::Error) -> bool {
    true
}

fn main() {}
