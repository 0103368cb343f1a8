//! Tests that overwrite the keys of an app. Only the overwritten invocation fails.

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

/// Changes every key of an app with this prefix, and returns the number of keys.
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

/// Checks that an invocation with a changed key gets a typed error, and that later calls run.
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
    // A later call still runs.
    let third = app.submit(length("z".into())).await.unwrap();
    assert_eq!(third.result_timeout(secs(20)).await.unwrap(), 1);
    runner.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tampered_record_fails_only_its_own_invocation() {
    // The record is in the entry, behind the header, the registration, the invocation's own fields and its own length.
    let overwrite = "local raw = redis.call('GET', key) \
                     local record = 52 + raw:byte(51) * 256 + raw:byte(52) + 32 + 4 \
                     redis.call('SETRANGE', key, record, '\\255\\255\\255')";
    check("o:i", overwrite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tampered_orchestrator_entry_fails_only_its_own_invocation() {
    for how in [WRONG_TYPE, GARBAGE, EMPTY, GONE] {
        check("o:i", how).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tampered_content_fails_only_its_own_invocation() {
    for how in [WRONG_TYPE, GARBAGE, EMPTY, GONE] {
        check("a:", how).await;
    }
}

/// Keys that several invocations share stop the work until they are removed. Then the work continues.
#[tokio::test(flavor = "multi_thread")]
async fn an_overwritten_queue_recovers_when_the_key_is_removed() {
    for letters in ["b:r", "b:d", "b:w", "b:s"] {
        let app_id = InvocationId::new().to_string();
        let app = app(&app_id).await;
        let runner = app.start_runner().await.unwrap();
        app.submit(length("warm".into())).await.unwrap().result_timeout(secs(20)).await.unwrap();
        let waiting = app.submit(length("waits".into()).delay(millis(200))).await.unwrap();
        alter(&app_id, letters, "redis.call('DEL', key) redis.call('HSET', key, 'x', 'y')");
        // The result of a submit depends on the overwritten key. An error must have a message.
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
