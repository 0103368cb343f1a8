//! A client: submits calls and reads their results. A client needs no runner.

use std::collections::BTreeSet;

use pynenc::prelude::*;
use redis_workers::{add, app, count_all_words};

#[tokio::main]
async fn main() -> Result<()> {
    let _server = redis_workers::start_server_if_missing();
    let app = app().build().await?;

    let (sum, process) = app.submit(add(2, 3)).await?.result().await?;
    println!("2 + 3 = {sum}, computed by process {process}");

    let sums = app.submit_all((0..200).map(|n| add(n, n))).await?.results().await?;
    let processes: BTreeSet<_> = sums.iter().map(|(_, process)| process).collect();
    println!("{} sums came from {} processes", sums.len(), processes.len());

    let texts = ["no work is lost", "pushed instead of polled", "typed from the call to the trigger"];
    let invocation = app.submit(count_all_words(texts.map(str::to_owned).into())).await?;
    println!("{} words, after these steps", invocation.result().await?);
    for line in invocation.history().await? {
        println!("  {:>10}  {}", line.status, line.reason);
    }
    Ok(())
}
