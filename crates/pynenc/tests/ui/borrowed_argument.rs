use pynenc::prelude::*;

#[task]
fn greet(name: &str, all: Vec<&[u8]>) {}

#[task]
fn note<'a>(text: std::borrow::Cow<'a, str>) {}

#[task]
fn name() -> &'static str {
    "me"
}

#[task]
fn with_context(#[inject] context: &TaskContext) {}

fn main() {}
