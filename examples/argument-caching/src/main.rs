//! How many bytes does it take to pass a large value to many tasks? With the argument cache, the value is stored once
//! and each process reads it once. Without the cache, every call contains the value.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p argument-caching
//! cargo run -p argument-caching -- redis://127.0.0.1:6379
//! ```
//!
//! The second command measures with a Redis server.

use argument_caching::{means, stored, table};
use pynenc::ArgCacheMode;
use pynenc::prelude::*;

#[tokio::main]
async fn main() -> Result<()> {
    let redis = std::env::args().nth(1);
    println!("{:<10} {:>14} {:>10}", "cache", "bytes stored", "time");
    for mode in [if redis.is_some() { ArgCacheMode::Redis } else { ArgCacheMode::Memory }, ArgCacheMode::Disabled] {
        let builder = Pynenc::builder().app_id("argument-caching").arg_cache(mode, 1024, 1000);
        let builder = if let Some(url) = &redis { builder.redis(url) } else { builder };
        let app = builder.build().await?;
        app.purge().await?;
        let runner = app.start_runner().await?;
        let (_means, time) = means(&app, table(5_000)).await?;
        println!("{:<10} {:>14} {time:>10.1?}", format!("{mode:?}"), stored(&app).await?);
        runner.shutdown().await?;
    }
    Ok(())
}
