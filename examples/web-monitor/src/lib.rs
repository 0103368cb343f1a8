//! A shop in memory with a load that never ends, for the web monitor.

pub mod load;
pub mod shop;

use pynenc::prelude::*;

/// Builds the shop: everything is in the memory of this process, and the monitor may act.
///
/// # Errors
///
/// A setting is invalid.
pub async fn app() -> Result<Pynenc> {
    Pynenc::builder()
        .without_config_file()
        .memory()
        .app_id("shop")
        .set("runner.concurrency", 16_u64)
        .set("runner.queues", vec!["default", "mail"])
        .set("web.actions", true)
        .set("web.arguments", "full")
        .build()
        .await
}
