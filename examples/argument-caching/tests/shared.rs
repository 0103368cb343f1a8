//! The table is stored once with the cache, in memory and on Redis, and once for each call without it.

use argument_caching::{COLUMNS, means, stored, table};
use pynenc::prelude::*;
use pynenc::{ArgCacheMode, PynencBuilder};
use pynenc_testkit::RedisServer;

/// Computes all means, and returns the number of stored bytes.
async fn stored_bytes(builder: PynencBuilder) -> Result<u64> {
    let app = builder.build().await?;
    let runner = app.start_runner().await?;
    let (means, _time) = means(&app, table(1000)).await?;
    let expected: Vec<_> = (0..COLUMNS).map(|column| column as f64 + 0.5).collect();
    assert_eq!(means, expected);
    let bytes = stored(&app).await?;
    runner.shutdown().await?;
    Ok(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_table_is_stored_once() -> Result<()> {
    let server = RedisServer::start();
    let builder = || Pynenc::builder().without_config_file().environment([]);
    let without = stored_bytes(builder().arg_cache(ArgCacheMode::Disabled, 1024, 10)).await?;
    let in_memory = stored_bytes(builder().arg_cache(ArgCacheMode::Memory, 1024, 10)).await?;
    let on_redis = stored_bytes(builder().redis(&server.url()).arg_cache(ArgCacheMode::Redis, 1024, 10)).await?;
    assert_eq!(in_memory, on_redis);
    let columns = COLUMNS as u64;
    assert!(in_memory < without / (columns - 1) && without / (columns + 1) < in_memory, "{in_memory} of {without}");
    Ok(())
}
