//! What a stranger writes over the keys of an app: it costs what it was written over, and nobody else.

use std::sync::LazyLock;

use pynenc::prelude::*;
use pynenc::{ArgCacheMode, InvocationId};
use pynenc_testkit::RedisServer;

static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

#[task]
async fn length(text: String) -> usize {
    text.len()
}

async fn app(app_id: &str) -> Pynenc {
    let builder = Pynenc::builder().without_config_file().environment([]).without_linked_tasks().app_id(app_id);
    let builder = builder.tasks(tasks![length]).redis(&SERVER.url()).arg_cache(ArgCacheMode::Redis, 1000, 8);
    builder.set("runner.sweep_interval", "100ms").set("redis.start_check", "off").build().await.unwrap()
}

/// Does something to every key of an app that is for the same, and tells how many there were.
fn alter(app_id: &str, letters: &str, how: &str) -> String {
    let script = format!(
        "local n = 0 for _, key in ipairs(redis.call('KEYS', '{{{app_id}}}:{letters}*')) do {how} n = n + 1 end return n"
    );
    SERVER.command(&["EVAL", &script, "0"])
}

const WRONG_TYPE: &str = "redis.call('DEL', key) redis.call('RPUSH', key, 'x')";
const GARBAGE: &str = "redis.call('DEL', key) redis.call('SET', key, '\\255\\193x')";
const EMPTY: &str = "redis.call('DEL', key) redis.call('SET', key, '')";
const GONE: &str = "redis.call('DEL', key)";

/// One whose key was altered ends with an error that has a type; one that comes later runs.
async fn check(letters: &str, how: &str) {
    let app_id = InvocationId::new().to_string();
    let app = app(&app_id).await;
    let victim = app.submit(length("x".repeat(5000))).await.unwrap();
    assert_eq!(alter(&app_id, letters, how), "1", "{letters}");
    let runner = app.start_runner().await.unwrap();
    let other = app.submit(length("y".repeat(4000))).await.unwrap();
    assert_eq!(other.result_timeout(secs(20)).await.unwrap(), 4000, "after {letters}: {how}");
    let error = victim.result_timeout(secs(20)).await.unwrap_err();
    assert!(!matches!(error, Error::Timeout(_) | Error::Unavailable { .. } | Error::Config(_)), "{letters}: {error:?}");
    // It is over once and for all.
    let third = app.submit(length("z".into())).await.unwrap();
    assert_eq!(third.result_timeout(secs(20)).await.unwrap(), 1);
    runner.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_record_costs_its_own_invocation_alone() {
    for how in [WRONG_TYPE, GARBAGE, EMPTY, GONE] {
        check("s:r", how).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_entry_costs_its_own_invocation_alone() {
    for how in [WRONG_TYPE, GARBAGE, EMPTY, GONE] {
        check("o:i", how).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn altered_content_costs_its_own_invocation_alone() {
    for how in [WRONG_TYPE, GARBAGE, EMPTY, GONE] {
        check("a:", how).await;
    }
}

/// What many share can't belong to one of them: work stands until it is removed, and then goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_was_written_over_goes_on_when_that_is_removed() {
    for letters in ["b:r", "b:d", "b:w", "b:s"] {
        let app_id = InvocationId::new().to_string();
        let app = app(&app_id).await;
        let runner = app.start_runner().await.unwrap();
        app.submit(length("warm".into())).await.unwrap().result_timeout(secs(20)).await.unwrap();
        let waiting = app.submit(length("waits".into()).delay(millis(200))).await.unwrap();
        alter(&app_id, letters, "redis.call('DEL', key) redis.call('HSET', key, 'x', 'y')");
        // Whether it can be taken now depends on what was written over; nothing panics, and it is told.
        if let Err(error) = app.submit(length("now".into())).await {
            assert!(!error.to_string().is_empty(), "{letters}");
        }
        alter(&app_id, letters, GONE);
        assert_eq!(waiting.result_timeout(secs(20)).await.unwrap(), 5, "{letters}");
        let after = app.submit(length("after".into())).await.unwrap();
        assert_eq!(after.result_timeout(secs(20)).await.unwrap(), 5, "{letters}");
        runner.shutdown().await.unwrap();
    }
}
