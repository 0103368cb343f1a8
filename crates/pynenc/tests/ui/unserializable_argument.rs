use pynenc::prelude::*;

struct Account;

#[task]
fn pay(account: Account) {
    let _account = account;
}

fn main() {}
