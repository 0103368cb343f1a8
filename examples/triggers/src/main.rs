//! How are tasks called at certain times, for events, or after other tasks? With triggers: here is one of each kind.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p triggers
//! ```

use pynenc::core::trigger_store::RunOutcome;
use pynenc::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

// ANCHOR: tasks
#[derive(Debug, Serialize, Deserialize)]
struct Login {
    user: String,
    role: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    id: String,
    amount: f64,
}

#[task(name = "process_order")]
async fn process_order(id: String, amount: f64, priority: String) -> Result<Order, String> {
    println!("process_order: {id}, {priority} priority");
    if amount > 0.0 { Ok(Order { id, amount }) } else { Err(format!("{id} has no amount")) }
}

#[task(name = "charge")]
async fn charge(id: String) -> String {
    println!("charge: {id}");
    id
}

#[task(name = "notify")]
async fn notify(text: String) {
    println!("notify: {text}");
}

/// A task without arguments can have its triggers in the attribute.
#[task(name = "each_second", triggers = on_cron("* * * * * *"))]
async fn each_second() {
    println!("each_second");
}

#[task(name = "count_order", triggers = on_status::<process_order>([Status::Success, Status::Failed]))]
async fn count_order() {
    println!("count_order");
}
// ANCHOR_END: tasks

// ANCHOR: triggers
/// Builds the app with its triggers. A trigger consists of a condition and the call that it makes.
async fn app() -> Result<Pynenc> {
    Pynenc::builder()
        .without_config_file()
        .memory()
        .trigger(
            on_result::<process_order>()
                .filter(|cx| cx.arguments().priority == "high" && cx.result().amount > 1000.0)
                .call(|cx| notify(format!("{} needs an approval", cx.result().id)))
                .id("approval"),
        )
        .trigger(on_success::<process_order>().call(|cx| charge(cx.result().id.clone())).id("charging"))
        .trigger(on_exception::<process_order>().call(|cx| notify(cx.message().to_owned())).id("trouble"))
        .trigger(
            on_event::<Login>("user.login")
                .matching(json!({"role": "admin"}))
                .call(|cx| notify(format!("{} is an admin", cx.payload().user)))
                .id("admins"),
        )
        // When both conditions have occurred within an hour of each other.
        .trigger(
            all((on_success::<charge>(), on_event::<String>("packed")))
                .within(hours(1))
                .call(|(charged, packed)| notify(format!("{} goes out as {}", charged.result(), packed.payload())))
                .id("shipping"),
        )
        .trigger(
            any((on_event::<String>("stop"), on_cron("0 3 * * *").timezone("Europe/Madrid")))
                .call(|(event, night)| notify(format!("stop: {}, night: {}", event.is_some(), night.is_some())))
                .id("stop"),
        )
        .build()
        .await
}
// ANCHOR_END: triggers

#[tokio::main]
async fn main() -> Result<()> {
    let app = app().await?;
    let runner = app.start_runner().await?;

    app.submit(process_order("order-1".to_owned(), 2000.0, "high".to_owned())).await?;
    app.submit(process_order("order-2".to_owned(), 0.0, "low".to_owned())).await?;
    for (user, role) in [("ana", "admin"), ("bea", "guest")] {
        let login = Login { user: user.to_owned(), role: role.to_owned() };
        app.emit_event("user.login", &login).key(user).await?;
    }
    app.emit_event("packed", "parcel-7").await?;
    app.emit_event("stop", "now").await?;
    // Time for the triggers to fire, and for the tasks that they call.
    tokio::time::sleep(millis(1500)).await;
    runner.shutdown().await?;

    // ANCHOR: runs
    for trigger in app.triggers().list().await? {
        for fired in app.triggers().runs(&trigger.id, 10).await? {
            let RunOutcome::Call { .. } = fired.run.outcome else { continue };
            println!("fired: {} by {}", trigger.spec.target.task(), fired.run.cause);
        }
    }
    // ANCHOR_END: runs
    Ok(())
}
