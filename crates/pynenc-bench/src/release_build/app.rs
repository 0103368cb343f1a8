//! A small app over Redis, as its users write them.

use pynenc::prelude::*;

#[task]
async fn add(x: u64, y: u64) -> u64 {
    x + y
}

#[workflow]
async fn sums(#[inject] wf: Workflow, count: u64) -> Result<u64> {
    let mut sum = 0;
    for n in 0..count {
        sum = wf.step("add", || async { Ok::<_, Error>(sum + n) }).await?;
    }
    Ok(sum)
}

#[tokio::main]
async fn main() -> Result<()> {
    let builder = Pynenc::builder().redis("redis://127.0.0.1:6379");
    let app = builder.trigger(on_success::<add>().then(sums(3))).build().await?;
    let runner = app.start_runner().await?;
    println!("{}", app.submit(add(1, 2)).await?.result().await?);
    runner.shutdown().await
}
