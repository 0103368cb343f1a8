//! How do I write a backend for pynenc? Implement a key-value store with transactions, as `src/lib.rs` does over redb.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p embedded-store
//! ```
//!
//! The first part of the program submits a call and ends without a runner. The second part opens the same file again,
//! runs the call and reads its result.

use embedded_store::RedbStore;
use pynenc::prelude::*;
use pynenc_kv::KvPlugin;

/// Adds two numbers.
#[task]
async fn add(a: u32, b: u32) -> u32 {
    a + b
}

/// An app whose components are all in one file.
async fn app(file: &str) -> Result<Pynenc> {
    Pynenc::builder()
        .app_id("embedded_store")
        .plugin(KvPlugin::new(RedbStore::open(file)?))
        .set("broker_cls", "KvBroker")
        .set("orchestrator_cls", "KvOrchestrator")
        .set("state_backend_cls", "KvStateBackend")
        .set("trigger_store_cls", "KvTriggerStore")
        .set("arg_cache_cls", "KvArgCache")
        .build()
        .await
}

#[tokio::main]
async fn main() -> Result<()> {
    let file = std::env::args().nth(1).unwrap_or_else(|| "/tmp/pynenc-embedded-store.redb".to_owned());
    let before = app(&file).await?;
    let id = before.submit(add(20, 22)).await?.id();
    println!("submitted: {}", before.count(Status::Registered).await?);
    drop(before);

    let after = app(&file).await?;
    let runner = after.start_runner().await?;
    println!("result:    {}", after.invocation::<add>(id).result().await?);
    runner.shutdown().await
}
