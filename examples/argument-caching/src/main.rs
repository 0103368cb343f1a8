//! What does it cost to pass a large value to many tasks? With the argument cache it is kept once, and read once by each
//! process; without, it travels with every call. With a Redis at hand, its URL as an argument has it measured there.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p argument-caching
//! ```

use argument_caching::{means, stored, table};
use pynenc::ArgCacheMode;
use pynenc::prelude::*;

#[tokio::main]
async fn main() -> Result<()> {
    let redis = std::env::args().nth(1);
    println!("{:<10} {:>14} {:>10}", "cache", "bytes sent", "time");
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
