//! What does a workflow do again when it fails halfway? Nothing that is recorded: an order that is paid and shipped, one
//! whose body fails in between, and one whose payment is declined.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p workflow-orders
//! ```

use std::sync::atomic::{AtomicBool, Ordering};

use pynenc::InvocationId;
use pynenc::prelude::*;
use serde::{Deserialize, Serialize};

// ANCHOR: workflow
#[derive(Debug, Serialize, Deserialize)]
struct Receipt {
    order: String,
    tracking: String,
    paid: u64,
    workflow: InvocationId,
}

#[task(name = "reserve")]
async fn reserve(order: String) -> u64 {
    println!("  reserve {order}");
    120
}

#[task(name = "pay")]
async fn pay(order: String, amount: u64) -> Result<u64, String> {
    println!("  pay {amount} for {order}");
    if order.starts_with("poor") { Err("the card was declined".to_owned()) } else { Ok(amount) }
}

#[task(name = "release")]
async fn release(order: String) {
    println!("  release {order}");
}

#[workflow(name = "process_order", max_retries = 1, backoff = none)]
async fn process_order(#[inject] wf: Workflow, #[inject] mishap: State<Mishap>, order: String) -> Result<Receipt> {
    println!("  process {order}");
    let tracking = format!("TRK-{order}-{:05}", (wf.random().await? * 1e5) as u32);
    let amount = wf.execute(reserve(order.clone())).await?;

    let paid = match wf.execute(pay(order.clone(), amount)).await {
        Ok(paid) => paid,
        // The failure is what the body goes on from, so it is recorded: no later run pays.
        Err(declined) => {
            wf.execute(release(order.clone())).await?;
            wf.set_data("state", "compensated").await?;
            return Err(declined);
        }
    };
    mishap.strike(&order)?;
    wf.step("ship", || async {
        ship(&order, &tracking);
        Ok::<_, Error>(())
    })
    .await?;
    wf.set_data("state", "shipped").await?;
    Ok(Receipt { order, tracking, paid, workflow: wf.id() })
}

/// What is no task, and has to be done once all the same.
fn ship(order: &str, tracking: &str) {
    println!("  ship {order} as {tracking}");
}
// ANCHOR_END: workflow

/// Something goes wrong once, after the payment.
#[derive(Debug, Default)]
struct Mishap(AtomicBool);

impl Mishap {
    fn strike(&self, order: &str) -> Result<()> {
        let strikes = order == "unlucky" && !self.0.swap(true, Ordering::SeqCst);
        if strikes { Err(Error::other("the warehouse is closed")) } else { Ok(()) }
    }
}

// ANCHOR: run
async fn run(app: &Pynenc, order: &str) -> Result<()> {
    println!("{order}:");
    let invocation = app.submit(process_order(order.to_owned())).await?;
    match invocation.result().await {
        Ok(receipt) => println!("  paid {} for {}, which is {}", receipt.paid, receipt.order, receipt.tracking),
        Err(error) => println!("  {error}"),
    }
    let state: Option<String> = app.workflows().data(invocation.id(), "state").await?;
    println!("  the order is {}. Recorded:", state.unwrap_or_default());
    for step in app.workflows().journal(invocation.id()).await? {
        let outcome = if step.failed { "failed with" } else { "gave" };
        println!("    {} {} {} {outcome} {}", step.position, step.kind, step.name, step.value);
    }
    Ok(())
}
// ANCHOR_END: run

#[tokio::main]
async fn main() -> Result<()> {
    let app = Pynenc::builder().without_config_file().memory().state(Mishap::default()).build().await?;
    let runner = app.start_runner().await?;
    for order in ["lucky", "unlucky", "poor"] {
        run(&app, order).await?;
    }
    runner.shutdown().await
}
