//! The table is kept once with the cache, in memory and on Redis, and once for each call without it.

use argument_caching::{COLUMNS, means, stored, table};
use pynenc::prelude::*;
use pynenc::{ArgCacheMode, PynencBuilder};
use pynenc_testkit::RedisServer;

/// The bytes that are kept after all means were taken.
async fn kept(builder: PynencBuilder) -> Result<u64> {
    let app = builder.build().await?;
    let runner = app.start_runner().await?;
    let (means, _time) = means(&app, table(1000)).await?;
    let expected: Vec<_> = (0..COLUMNS).map(|column| column as f64 + 0.5).collect();
    assert_eq!(means, expected);
    let kept = stored(&app).await?;
    runner.shutdown().await?;
    Ok(kept)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_table_is_kept_once() -> Result<()> {
    let server = RedisServer::start();
    let builder = || Pynenc::builder().without_config_file().environment([]);
    let without = kept(builder().arg_cache(ArgCacheMode::Disabled, 1024, 10)).await?;
    let in_memory = kept(builder().arg_cache(ArgCacheMode::Memory, 1024, 10)).await?;
    let on_redis = kept(builder().redis(&server.url()).arg_cache(ArgCacheMode::Redis, 1024, 10)).await?;
    assert_eq!(in_memory, on_redis);
    let columns = COLUMNS as u64;
    assert!(in_memory < without / (columns - 1) && without / (columns + 1) < in_memory, "{in_memory} of {without}");
    Ok(())
}
