//! Values beyond what can be carried: an error where they are made, with a type, once, and nobody else is held up.

use pynenc::prelude::*;
use serde_json::{Value, json};

use crate::place::{App, Place, on_both};

/// Values of no more bytes are carried.
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

async fn app(place: Place) -> App {
    let tasks = || tasks![echo, echo_number, nests, nests_by_thread, divides, makes, fails, echo_text];
    place.app(|builder| builder.without_linked_tasks().tasks(tasks()).set("arg_cache.max_size", MAX_SIZE)).await
}

/// Checks that a call isn't taken, and what is said of it.
async fn refused<T: Task>(app: &App, call: Call<T>, part: &str) {
    let error = app.submit(call).await.expect_err("it can't be carried");
    assert!(!error.is_retryable() && format!("{error:?}").contains(part), "no `{part}` in {error:?}");
}

/// Checks that it was run once and failed, and what is said of it.
async fn failed_once<T: Task>(app: &App, call: Call<T>, part: &str) {
    let invocation = app.submit(call).await.unwrap();
    let error = invocation.result().await.err().expect("it can't be carried");
    assert!(format!("{error:?}").contains(part), "no `{part}` in {error:?}");
    let history = invocation.history().await.unwrap();
    assert_eq!(history.last().unwrap().status, Status::Failed);
    assert_eq!(history.iter().filter(|entry| entry.status == Status::Running).count(), 1, "{history:?}");
}

on_both![
    what_cant_be_carried_is_refused_where_it_is_called,
    what_cant_be_given_back_fails_once,
    what_can_be_carried_comes_back_as_it_was,
];

async fn what_cant_be_carried_is_refused_where_it_is_called(place: Place) {
    let app = app(place).await;
    for levels in [128, 1000] {
        let value = nested(levels);
        refused(&app, echo(value), "127").await;
    }
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        refused(&app, echo_number(number), "MsgPackSerializer").await;
    }
    refused(&app, echo_text("x".repeat(MAX_SIZE as usize)), "arg_cache.max_size").await;
    let beyond = app.submit_all([echo_number(1.0), echo_number(f64::NAN)]).await;
    assert!(beyond.is_err(), "a batch is taken as a whole or not at all");
    assert_eq!(app.submit(echo_text("on".to_owned())).await.unwrap().result().await.unwrap(), "on");
}

async fn what_cant_be_given_back_fails_once(place: Place) {
    let app = app(place).await;
    for levels in [128, 500] {
        failed_once(&app, nests(levels), "127").await;
        failed_once(&app, nests_by_thread(levels), "127").await;
    }
    failed_once(&app, divides(0.0), "MsgPackSerializer").await;
    failed_once(&app, makes(MAX_SIZE as usize), "arg_cache.max_size").await;
    failed_once(&app, fails(MAX_SIZE as usize), "can't be stored").await;
    assert_eq!(app.submit(echo_text("on".to_owned())).await.unwrap().result().await.unwrap(), "on");
}

async fn what_can_be_carried_comes_back_as_it_was(place: Place) {
    let app = app(place).await;
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
