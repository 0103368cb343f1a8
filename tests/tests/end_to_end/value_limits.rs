//! Tests of values beyond the limits: a typed error at their origin, without retries, and without harm to others.

use pynenc::prelude::*;
use serde_json::{Value, json};

use crate::backend::{App, Backend, on_each_backend};

/// The size limit of a value in bytes.
const MAX_SIZE: u32 = 100_000;

#[task(max_retries = 3, backoff = constant("1ms"))]
async fn echo(value: Value) -> Value {
    value
}

#[task(max_retries = 3, backoff = constant("1ms"))]
fn echo_number(number: f64) -> f64 {
    number
}

#[task]
async fn nests(levels: usize) -> Value {
    nested(levels)
}

#[task]
fn nests_by_thread(levels: usize) -> Value {
    nested(levels)
}

#[task]
async fn divides(by: f64) -> f64 {
    1.0 / by
}

#[task]
async fn makes(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[task]
async fn fails(bytes: usize) -> Result<(), String> {
    Err("x".repeat(bytes))
}

#[task]
async fn echo_text(text: String) -> String {
    text
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(7), |inner, _| json!([inner]))
}

async fn app(backend: Backend) -> App {
    let tasks = || tasks![echo, echo_number, nests, nests_by_thread, divides, makes, fails, echo_text];
    backend.app(|builder| builder.without_linked_tasks().tasks(tasks()).set("arg_cache.max_size", MAX_SIZE)).await
}

/// Checks that a call is refused with this text in the error.
async fn refused<T: Task>(app: &App, call: Call<T>, part: &str) {
    let error = app.submit(call).await.expect_err("the value is beyond the limits");
    assert!(!error.is_retryable() && format!("{error:?}").contains(part), "no `{part}` in {error:?}");
}

/// Checks that an invocation runs once and fails with this text in the error.
async fn failed_once<T: Task>(app: &App, call: Call<T>, part: &str) {
    let invocation = app.submit(call).await.unwrap();
    let error = invocation.result().await.err().expect("the value is beyond the limits");
    assert!(format!("{error:?}").contains(part), "no `{part}` in {error:?}");
    let history = invocation.history().await.unwrap();
    assert_eq!(history.last().unwrap().status, Status::Failed);
    assert_eq!(history.iter().filter(|entry| entry.status == Status::Running).count(), 1, "{history:?}");
}

on_each_backend![
    an_argument_beyond_the_limits_is_refused_by_submit,
    a_result_beyond_the_limits_fails_without_retries,
    values_within_the_limits_round_trip,
];

async fn an_argument_beyond_the_limits_is_refused_by_submit(backend: Backend) {
    let app = app(backend).await;
    for levels in [128, 1000] {
        let value = nested(levels);
        refused(&app, echo(value), "127").await;
    }
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        refused(&app, echo_number(number), "MsgPackSerializer").await;
    }
    refused(&app, echo_text("x".repeat(MAX_SIZE as usize)), "arg_cache.max_size").await;
    let beyond = app.submit_all([echo_number(1.0), echo_number(f64::NAN)]).await;
    assert!(beyond.is_err(), "a batch is accepted completely or not at all");
    assert_eq!(app.submit(echo_text("on".to_owned())).await.unwrap().result().await.unwrap(), "on");
}

async fn a_result_beyond_the_limits_fails_without_retries(backend: Backend) {
    let app = app(backend).await;
    for levels in [128, 500] {
        failed_once(&app, nests(levels), "127").await;
        failed_once(&app, nests_by_thread(levels), "127").await;
    }
    failed_once(&app, divides(0.0), "MsgPackSerializer").await;
    failed_once(&app, makes(MAX_SIZE as usize), "arg_cache.max_size").await;
    failed_once(&app, fails(MAX_SIZE as usize), "can't be stored").await;
    assert_eq!(app.submit(echo_text("on".to_owned())).await.unwrap().result().await.unwrap(), "on");
}

async fn values_within_the_limits_round_trip(backend: Backend) {
    let app = app(backend).await;
    let deepest = nested(127);
    for value in [json!(null), json!([]), json!({"": {"\0": "\0"}}), json!(u64::MAX), json!(-1.5e308), deepest] {
        assert_eq!(app.submit(echo(value.clone())).await.unwrap().result().await.unwrap(), value);
    }
    for text in ["", "\0", "\u{feff}\u{10ffff}", "{\"$pynenc\":1}", "e\u{301}"] {
        assert_eq!(app.submit(echo_text(text.to_owned())).await.unwrap().result().await.unwrap(), text);
    }
    for number in [0.0, -0.0, f64::MIN_POSITIVE, f64::MAX, 5e-324] {
        let back = app.submit(echo_number(number)).await.unwrap().result().await.unwrap();
        assert_eq!(back.to_bits(), number.to_bits());
    }
}
