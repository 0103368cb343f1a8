use pynenc::prelude::*;

#[task]
fn add(x: i64, y: i64) -> i64 {
    x + y
}

#[task]
fn report(_text: String) {}

fn main() {
    let _ = on_result::<add>().call(|cx| report(*cx.result()));
    let _ = all((on_result::<add>(), on_event::<String>("x"))).call(|(sum, _)| report(sum.payload().clone()));
}
