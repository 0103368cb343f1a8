use pynenc::prelude::*;

#[task(running_concurrency = keys(acount))]
fn pay(account: u64) {
    let _account = account;
}

#[task(disable_cache_args(data))]
fn refund(_account: u64) {}

fn main() {}
