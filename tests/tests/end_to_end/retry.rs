//! Tests of retrying finished invocations.

use std::sync::atomic::{AtomicU32, Ordering};

use pynenc::prelude::*;
use pynenc::{InvocationId, PynencBuilder};

use crate::backend::{App, Backend, on_each_backend};

/// Counts the attempts.
#[derive(Default)]
struct Attempts(AtomicU32);

#[task(running_concurrency = keys(account), running_limit = 3, reroute_on_concurrency_control = true)]
async fn works_the_second_time(#[inject] attempts: State<Attempts>, account: u32) -> Result<u32, String> {
    if attempts.0.fetch_add(1, Ordering::Relaxed) == 0 { Err("not yet".into()) } else { Ok(account) }
}

#[task]
async fn measures(text: String) -> usize {
    text.len()
}

#[task(registration_concurrency = task)]
async fn one_waits() {}

fn configured(builder: PynencBuilder) -> PynencBuilder {
    builder.without_linked_tasks().tasks(tasks![works_the_second_time, measures, one_waits]).state(Attempts::default())
}

async fn app(backend: Backend) -> App {
    backend.app(configured).await
}

async fn a_failed_invocation_is_retried_as_a_new_one(backend: Backend) {
    let app = app(backend).await;
    let call = works_the_second_time(7).priority(8).queue("default").idempotency_key("order-7");
    let first = app.submit(call).await.unwrap();
    assert!(matches!(first.result().await, Err(Error::TaskFailed(_))));
    let id = app.retry(first.id()).await.unwrap();
    assert_ne!(id, first.id());
    assert_eq!(app.invocation::<works_the_second_time>(id).result().await.unwrap(), 7);
    assert_eq!(first.status().await.unwrap(), Status::Failed, "the failed invocation doesn't change");
    assert_eq!(app.retry(first.id()).await.unwrap(), id, "a repeated retry returns the same invocation");
    let record = app.parts().state.invocations(&[id]).await.unwrap().remove(0).unwrap();
    assert_eq!((record.retry_of, record.priority.level()), (Some(first.id()), 8));
    let inspected = app.parts().orchestrator.inspect(&[first.id(), id]).await.unwrap();
    let running: Vec<_> = inspected.iter().flatten().map(|it| it.registration.running).collect();
    assert!(running[0].is_some() && running[0] == running[1], "the retry has the same concurrency key: {running:?}");
}

async fn retry_all_returns_one_result_for_each_id(backend: Backend) {
    let app = app(backend).await;
    let done = app.submit(measures("four".into())).await.unwrap();
    done.result().await.unwrap();
    let waiting = app.submit(measures("later".into()).delay(hours(1))).await.unwrap();
    let unknown = InvocationId::new();
    let results = app.retry_all(&[unknown, done.id(), waiting.id()]).await.unwrap();
    assert!(matches!(results[0], Err(Error::InvocationNotFound(id)) if id == unknown), "{results:?}");
    assert!(
        matches!(&results[2], Err(Error::Invalid(error)) if error.to_string().contains("scheduled")),
        "{results:?}"
    );
    let id = *results[1].as_ref().unwrap();
    assert_eq!(app.invocation::<measures>(id).result().await.unwrap(), 4);
}

async fn a_retry_reuses_a_waiting_invocation_with_its_key(backend: Backend) {
    let app = backend.client(configured).await;
    let first = app.submit(one_waits()).await.unwrap();
    first.cancel().await.unwrap();
    let retried = app.retry(first.id()).await.unwrap();
    assert_eq!(app.retry(first.id()).await.unwrap(), retried, "the waiting retry is reused");
}

async fn a_retry_needs_its_cached_arguments(backend: Backend) {
    let app = backend.app(|builder| {
        let class = match backend {
            Backend::Memory => "MemArgCache",
            Backend::Redis => "RedisArgCache",
            Backend::Sqlite => "SqliteArgCache",
        };
        configured(builder).set("arg_cache_cls", class)
    });
    let app = app.await;
    let first = app.submit(measures("x".repeat(5000))).await.unwrap();
    first.result().await.unwrap();
    let again = app.retry(first.id()).await.unwrap();
    assert_eq!(app.invocation::<measures>(again).result().await.unwrap(), 5000);
    app.parts().arg_cache.as_ref().unwrap().purge().await.unwrap();
    let error = app.retry(first.id()).await.unwrap_err();
    assert!(matches!(error, Error::ArgumentsUnavailable { id, .. } if id == first.id()), "{error}");
}

on_each_backend!(
    a_failed_invocation_is_retried_as_a_new_one,
    retry_all_returns_one_result_for_each_id,
    a_retry_reuses_a_waiting_invocation_with_its_key,
    a_retry_needs_its_cached_arguments,
);
