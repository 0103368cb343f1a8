//! Tests that apps on one server are isolated, whatever their ids.

use std::sync::LazyLock;

use pynenc::prelude::*;
use pynenc_testkit::RedisServer;

static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

#[task(registration_concurrency = task)]
async fn waits() {}

#[workflow]
async fn keeps(#[inject] wf: Workflow) -> Result<()> {
    wf.set_data("kept", &1).await
}

async fn app(app_id: &str) -> Result<Pynenc> {
    let builder = Pynenc::builder().without_config_file().environment([]).without_linked_tasks();
    builder.tasks(tasks![waits, keeps]).app_id(app_id).redis(&SERVER.url()).build().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_finds_nothing_of_another() {
    let (mine, other) = (app("mine").await.unwrap(), app("mine.too").await.unwrap());
    let runner = mine.start_runner().await.unwrap();
    let run = mine.submit(keeps()).await.unwrap();
    run.result().await.unwrap();
    runner.shutdown().await.unwrap();
    let invocation = mine.submit(waits().idempotency_key("key")).await.unwrap();
    let id = invocation.id();
    let is_unknown = |error: Error| assert!(matches!(error, Error::InvocationNotFound(_)), "{error:?}");
    is_unknown(other.status(id).await.unwrap_err());
    is_unknown(other.history(id).await.unwrap_err());
    is_unknown(other.cancel(id).await.unwrap_err());
    is_unknown(other.invocation::<waits>(id).result_timeout(secs(5)).await.unwrap_err());
    is_unknown(other.retry(id).await.unwrap_err());
    assert!(other.why(id).await.is_err() || other.why(id).await.unwrap().to_string().contains("no invocation"));
    assert!(other.workflows().runs(&pynenc::workflows::RunFilter::default(), 10).await.unwrap().runs.is_empty());
    // Idempotency keys and registration keys are separate, and a purge affects only its own app.
    let theirs = other.submit(waits().idempotency_key("key")).await.unwrap();
    assert_ne!(theirs.id(), id);
    other.purge().await.unwrap();
    assert_eq!(invocation.status().await.unwrap(), Status::Registered);
    assert_eq!(mine.count(Status::Registered).await.unwrap(), 1);
}

/// Tests characters with a meaning in patterns, hash tags and paths.
#[tokio::test(flavor = "multi_thread")]
async fn special_characters_in_an_app_id_are_refused() {
    for app_id in ["*", "a*", "a?", "[a]", "a}", "{a}", "a:b", "a b", "a\n", "", "é", "a\\", "../a", &"a".repeat(65)] {
        let error = app(app_id).await.unwrap_err();
        let message = error.to_string();
        assert!(
            matches!(error, Error::Config(_)) && message.contains("app_id") && message.contains("letters"),
            "{message}"
        );
    }
    // In some patterns a dot matches any character, and an id may be a prefix of another.
    let kept = app("axb").await.unwrap().submit(waits()).await.unwrap();
    for near in ["a.b", "a-b", "ax", "axbb", "AXB", "a_b"] {
        app(near).await.unwrap().purge().await.unwrap();
    }
    assert_eq!(kept.status().await.unwrap(), Status::Registered);
}
