//! A worker process for the tests of triggers. It calls one task each second and another for each event.

use pynenc::prelude::*;

#[task(name = "tick")]
async fn tick(slot: u64) -> u64 {
    slot
}

#[task(name = "seen")]
async fn seen(n: u64) -> u64 {
    n
}

#[task(name = "after")]
async fn after(n: u64) -> u64 {
    n
}

#[tokio::main]
async fn main() -> pynenc::Result<()> {
    let each_second = on_cron("* * * * * *").misfire(Misfire::All(minutes(1)));
    let app = Pynenc::builder()
        .without_config_file()
        .trigger(each_second.call(|cx| tick(cx.slot().as_millis())).id("each second"))
        .trigger(on_event::<u64>("n").call(|cx| seen(*cx.payload())).id("each event"))
        .trigger(on_success::<seen>().call(|cx| after(*cx.result())).id("each end"))
        .build()
        .await?;
    println!("ready");
    app.run().await
}
