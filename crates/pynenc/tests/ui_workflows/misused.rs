use pynenc::prelude::*;

#[workflow]
fn waits_nowhere(#[inject] _wf: Workflow) {}

#[workflow(force_new_workflow)]
async fn says_it_twice(#[inject] _wf: Workflow) {}

#[workflow(max_retry = 3)]
async fn unknown(#[inject] _wf: Workflow) {}

fn main() {}
