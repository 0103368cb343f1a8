//! Which steps does a workflow repeat after a failure? None that its journal has recorded. One order is paid and
//! shipped, one fails between payment and shipping, and one has its payment declined.
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
async fn process_order(
    #[inject] wf: Workflow,
    #[inject] warehouse: State<Warehouse>,
    order: String,
) -> Result<Receipt> {
    println!("  process {order}");
    let tracking = format!("TRK-{order}-{:05}", (wf.random().await? * 1e5) as u32);
    let amount = wf.execute(reserve(order.clone())).await?;

    let paid = match wf.execute(pay(order.clone(), amount)).await {
        Ok(paid) => paid,
        // The journal records the failed payment, too. A retry of the workflow gets this error and doesn't pay again.
        Err(declined) => {
            wf.execute(release(order.clone())).await?;
            wf.set_data("state", "compensated").await?;
            return Err(declined);
        }
    };
    warehouse.check_open(&order)?;
    // `step` records the result of code that is no task.
    wf.step("ship", || async {
        ship(&order, &tracking);
        Ok::<_, Error>(())
    })
    .await?;
    wf.set_data("state", "shipped").await?;
    Ok(Receipt { order, tracking, paid, workflow: wf.id() })
}

/// Ships the order. Not a task, but recorded as a step of the workflow.
fn ship(order: &str, tracking: &str) {
    println!("  ship {order} as {tracking}");
}
// ANCHOR_END: workflow

/// A warehouse that is closed for the first try of the order `unlucky`, after the payment.
#[derive(Debug, Default)]
struct Warehouse {
    was_closed: AtomicBool,
}

impl Warehouse {
    fn check_open(&self, order: &str) -> Result<()> {
        let is_closed = order == "unlucky" && !self.was_closed.swap(true, Ordering::SeqCst);
        if is_closed { Err(Error::other("the warehouse is closed")) } else { Ok(()) }
    }
}

// ANCHOR: run
/// Runs the workflow for one order, and prints its journal.
async fn run(app: &Pynenc, order: &str) -> Result<()> {
    println!("{order}:");
    let invocation = app.submit(process_order(order.to_owned())).await?;
    match invocation.result().await {
        Ok(receipt) => println!("  paid {} for {}, which is {}", receipt.paid, receipt.order, receipt.tracking),
        Err(error) => println!("  {error}"),
    }
    let state: Option<String> = app.workflows().data(invocation.id(), "state").await?;
    println!("  the order is {}. Journal:", state.unwrap_or_default());
    for step in app.workflows().journal(invocation.id()).await? {
        let outcome = if step.failed { "failed with" } else { "returned" };
        println!("    {} {} {} {outcome} {}", step.position, step.kind, step.name, step.value);
    }
    Ok(())
}
// ANCHOR_END: run

#[tokio::main]
async fn main() -> Result<()> {
    let app = Pynenc::builder().without_config_file().memory().state(Warehouse::default()).build().await?;
    let runner = app.start_runner().await?;
    for order in ["lucky", "unlucky", "poor"] {
        run(&app, order).await?;
    }
    runner.shutdown().await
}
