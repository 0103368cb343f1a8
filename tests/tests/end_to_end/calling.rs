//! Tests of calls, results, batches, arguments and injection.

use std::collections::BTreeMap;

use pynenc::Error;
use pynenc::prelude::*;
use pynenc::testing::TestApp;
use serde::{Deserialize, Serialize};

use crate::backend::{App, Backend, on_each_backend};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    id: String,
    lines: BTreeMap<String, u32>,
    note: Option<String>,
}

#[task]
async fn total(order: Order) -> u32 {
    order.lines.values().sum()
}

#[task]
fn shout(text: String) -> String {
    text.to_uppercase()
}

#[task]
async fn describe(#[inject] greeting: State<String>, #[inject] context: TaskContext, name: String) -> String {
    format!("{}, {name} ({})", *greeting, context.task())
}

#[task]
async fn nothing() {}

fn order() -> Order {
    let lines = BTreeMap::from([("apples".to_owned(), 3), ("ñandú".to_owned(), 4)]);
    Order { id: "7".into(), lines, note: None }
}

async fn app(backend: Backend) -> App {
    backend.app(configured).await
}

fn configured(builder: pynenc::PynencBuilder) -> pynenc::PynencBuilder {
    builder.without_linked_tasks().tasks(all_tasks()).state("hello".to_owned())
}

fn all_tasks() -> Vec<&'static pynenc::engine::TaskDefinition> {
    tasks![total, shout, describe, nothing].into()
}

on_each_backend![
    async_and_blocking_tasks_return_values,
    both_serializers_carry_the_same_values,
    injected_parameters_come_from_the_app_and_the_run,
    a_batch_returns_results_in_the_order_of_its_calls,
    a_batch_yields_results_as_they_finish,
    a_handle_works_from_an_id_and_unknown_ids_are_errors,
    a_result_of_another_type_is_an_error,
    an_idempotency_key_returns_the_same_invocation_and_refuses_other_arguments,
    a_priority_above_the_highest_is_refused,
];

async fn async_and_blocking_tasks_return_values(backend: Backend) {
    let app = app(backend).await;
    assert_eq!(app.submit(total(order())).await.unwrap().result().await.unwrap(), 7);
    assert_eq!(app.submit(shout("ab".into())).await.unwrap().result().await.unwrap(), "AB");
    app.submit(nothing()).await.unwrap().result().await.unwrap();
}

async fn both_serializers_carry_the_same_values(backend: Backend) {
    for serializer in ["JsonSerializer", "MsgPackSerializer", "pynenc_core::MsgPackSerializer"] {
        let app = backend.app(|builder| configured(builder).set("serializer_cls", serializer)).await;
        assert_eq!(app.submit(total(order())).await.unwrap().result().await.unwrap(), 7, "{serializer}");
    }
}

async fn injected_parameters_come_from_the_app_and_the_run(backend: Backend) {
    let app = app(backend).await;
    let text = app.submit(describe("Ana".into())).await.unwrap().result().await.unwrap();
    assert_eq!(text, format!("hello, Ana ({})", describe::NAME));
}

async fn a_batch_returns_results_in_the_order_of_its_calls(backend: Backend) {
    let app = app(backend).await;
    let texts: Vec<_> = (0..1200).map(|n| format!("t{n}")).collect();
    let group = app.submit_all(texts.iter().cloned().map(shout)).await.unwrap();
    assert_eq!(group.len(), 1200);
    let expected: Vec<_> = texts.iter().map(|text| text.to_uppercase()).collect();
    assert_eq!(group.results().await.unwrap(), expected);
}

async fn a_batch_yields_results_as_they_finish(backend: Backend) {
    let app = app(backend).await;
    let slow = app.submit(shout("slow".into()).delay(secs(60))).await.unwrap();
    let calls = [shout("late".into()).delay(millis(900)), shout("soon".into()).delay(millis(300)), shout("now".into())];
    let mut group = app.submit_all(calls).await.unwrap();
    let mut values = Vec::new();
    while let Some((_, value)) = group.next().await {
        values.push(value.unwrap());
    }
    assert_eq!(values, ["NOW", "SOON", "LATE"]);
    assert_eq!(slow.status().await.unwrap(), Status::Scheduled);
}

async fn a_handle_works_from_an_id_and_unknown_ids_are_errors(backend: Backend) {
    let app = app(backend).await;
    let id = app.submit(shout("x".into())).await.unwrap().id();
    assert_eq!(app.invocation::<shout>(id).result().await.unwrap(), "X");
    let unknown = app.invocation::<shout>(pynenc::InvocationId::new());
    assert!(matches!(unknown.result().await, Err(Error::InvocationNotFound(_))));
    assert!(matches!(unknown.status().await, Err(Error::InvocationNotFound(_))));
    assert!(matches!(unknown.cancel().await, Err(Error::InvocationNotFound(_))));
}

async fn a_result_of_another_type_is_an_error(backend: Backend) {
    let app = app(backend).await;
    let id = app.submit(shout("x".into())).await.unwrap().id();
    assert!(matches!(app.invocation::<total>(id).result().await, Err(Error::CorruptRecord { .. })));
}

async fn an_idempotency_key_returns_the_same_invocation_and_refuses_other_arguments(backend: Backend) {
    let app = app(backend).await;
    let call = |text: &str| shout(text.to_owned()).idempotency_key("order-7");
    let first = app.submit(call("a")).await.unwrap();
    first.result().await.unwrap();
    let again = app.submit(call("a")).await.unwrap();
    assert_eq!((again.id(), again.is_reused()), (first.id(), true));
    match app.submit(call("b")).await {
        Err(Error::IdempotencyConflict { key, existing }) => {
            assert_eq!((key.as_str(), existing), ("order-7", first.id()));
        }
        other => panic!("{other:?}"),
    }
    let other_task = app.submit(describe("a".into()).idempotency_key("order-7")).await.unwrap();
    assert_ne!(other_task.id(), first.id());
}

async fn a_priority_above_the_highest_is_refused(backend: Backend) {
    let error = app(backend).await.submit(shout("x".into()).priority(10)).await.unwrap_err();
    assert!(error.to_string().contains("highest: 9"), "{error}");
}

#[tokio::test]
async fn a_test_app_lists_submitted_calls() {
    let app = TestApp::with(configured).await.unwrap();
    app.submit(shout("one".into())).await.unwrap();
    app.submit(shout("two".into()).delay(hours(1))).await.unwrap();
    app.run_until_idle().await;
    let calls = app.submitted::<shout>().await.unwrap();
    let seen: Vec<_> = calls.iter().map(|call| (call.arguments.text.as_str(), call.status)).collect();
    assert_eq!(seen, [("one", Status::Success), ("two", Status::Scheduled)]);
    assert!(app.submitted::<nothing>().await.unwrap().is_empty());
}
