//! Tests of calls by name, with arguments as JSON.

use pynenc::PynencBuilder;
use pynenc::prelude::*;
use serde_json::{Map, Value, json};

use crate::backend::{Backend, on_each_backend};

#[derive(serde::Serialize, serde::Deserialize)]
struct Item {
    name: String,
    price: f64,
}

#[task(registration_concurrency = keys(customer))]
async fn order(customer: u32, items: Vec<Item>) -> f64 {
    f64::from(customer) + items.iter().map(|item| item.price).sum::<f64>()
}

#[task(name = "billing::add")]
async fn add(x: i64, y: i64) -> i64 {
    x + y
}

#[task(name = "stock::add")]
async fn add_to_stock(x: i64) -> i64 {
    x
}

fn configured(builder: PynencBuilder) -> PynencBuilder {
    builder.without_linked_tasks().tasks(tasks![order, add, add_to_stock])
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

async fn a_call_by_name_equals_a_typed_call(backend: Backend) {
    let app = backend.app(configured).await;
    let arguments = object(&json!({"items": [{"name": "tea", "price": 2.5}], "customer": 7}));
    let call = app.call_by_name("order", &arguments).await.unwrap().delay(minutes(1)).priority(9);
    let id = app.submit_call(call.clone()).await.unwrap();
    let items = vec![Item { name: "tea".into(), price: 2.5 }];
    let typed = app.submit(order(7, items).delay(minutes(1))).await.unwrap();
    assert!(typed.is_reused() && typed.diff().is_empty(), "both forms have the same arguments");
    assert_eq!(typed.id(), id);
    let now = app.call_by_name("billing::add", &object(&json!({"x": 1, "y": 2}))).await.unwrap();
    let id = app.submit_call(now).await.unwrap();
    assert_eq!(app.result::<Value>(id).await.unwrap(), 3);
    let record = app.parts().state.invocations(&[id]).await.unwrap().remove(0).unwrap();
    assert_eq!(app.json_arguments(&record).await.unwrap(), object(&json!({"x": 1, "y": 2})));
}

async fn a_wrong_call_by_name_is_refused_with_an_explanation(backend: Backend) {
    let app = backend.client(configured).await;
    let refused =
        async |task: &str, arguments: Value| app.call_by_name(task, &object(&arguments)).await.unwrap_err().to_string();
    let missing = refused("billing::add", json!({"x": 1})).await;
    assert!(missing.contains("argument: y") && missing.contains("parameters: x, y"), "{missing}");
    let odd = refused("billing::add", json!({"x": 1, "y": 2, "z": 3})).await;
    assert!(odd.contains("no such parameter") && odd.contains("argument: z"), "{odd}");
    let wrong = refused("order", json!({"customer": 7, "items": [{"name": "tea"}]})).await;
    assert!(wrong.contains("argument: items") && wrong.contains("price"), "{wrong}");
    let several = refused("add", json!({})).await;
    assert!(several.contains("billing::add") && several.contains("stock::add"), "{several}");
    let unknown = refused("subtract", json!({})).await;
    assert!(unknown.contains("unknown task `subtract`") && unknown.contains("billing::add"), "{unknown}");
    assert_eq!(app.parts().orchestrator.count().await.unwrap().statuses.len(), 0, "no call is submitted");
}

on_each_backend!(a_call_by_name_equals_a_typed_call, a_wrong_call_by_name_is_refused_with_an_explanation);
