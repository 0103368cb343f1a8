//! Tests of each kind of condition and its context.

use pynenc::prelude::*;
use pynenc::triggers::Trigger;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::stores::{Notes, app};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    id: String,
    amount: f64,
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("division by zero")]
    DivisionByZero,
    #[error("overflow")]
    Overflow,
}

impl pynenc::VariantName for Trouble {
    fn variant_name(&self) -> String {
        format!("{self:?}")
    }
}

#[task]
async fn order(id: String, priority: String, amount: f64) -> Order {
    drop(priority);
    Order { id, amount }
}

#[task]
async fn divide(a: i64, b: i64) -> Result<i64, Trouble> {
    if b == 0 { Err(Trouble::DivisionByZero) } else { a.checked_div(b).ok_or(Trouble::Overflow) }
}

#[task]
async fn note(#[inject] notes: State<Notes>, text: String) {
    notes.add(text);
}

#[task(triggers = on_success::<order>())]
async fn notified(#[inject] notes: State<Notes>) {
    notes.add("notified");
}

#[task(triggers = (on_event::<Value>("a"), on_event::<Value>("b")))]
async fn twice(#[inject] notes: State<Notes>) {
    notes.add("twice");
}

async fn with(triggers: Vec<Trigger>) -> (pynenc::testing::TestApp, Notes) {
    app(|builder| {
        let builder = builder.tasks(tasks![order, divide, note]);
        triggers.into_iter().fold(builder, pynenc::PynencBuilder::trigger)
    })
    .await
}

fn an_order(id: &str, priority: &str, amount: f64) -> Call<order> {
    order(id.into(), priority.into(), amount)
}

#[tokio::test]
async fn a_trigger_attribute_calls_its_task() {
    let (app, notes) = app(|builder| builder.tasks(tasks![order, notified])).await;
    app.submit_all([an_order("a", "low", 1.0), an_order("b", "low", 2.0)]).await.unwrap();
    app.run_until_idle().await;
    assert_eq!(notes.sorted(), ["notified", "notified"]);
}

#[tokio::test]
async fn a_task_can_have_several_triggers() {
    let (app, notes) = app(|builder| builder.tasks(tasks![twice])).await;
    app.emit_event("a", &1).await.unwrap();
    app.emit_event("b", &1).await.unwrap();
    app.emit_event("c", &1).await.unwrap();
    app.run_until_idle().await;
    assert_eq!(notes.sorted(), ["twice", "twice"]);
}

#[tokio::test]
async fn results_and_arguments_reach_the_call() {
    let big = on_result::<order>()
        .filter(|cx| cx.arguments().priority == "high" && cx.result().amount > 1000.0)
        .call(|cx| note(format!("approve {}", cx.result().id)));
    let small = on_success::<order>()
        .matching_arguments(json!({"priority": "low"}))
        .matching_result(json!({"amount": 5}))
        .call(|cx| note(format!("small {} {}", cx.arguments().id, cx.status())));
    let (app, notes) = with(vec![big, small]).await;
    let calls = [("a", "high", 2000.0), ("b", "high", 5.0), ("c", "low", 2000.0), ("d", "low", 5.0)];
    app.submit_all(calls.map(|(id, priority, amount)| an_order(id, priority, amount))).await.unwrap();
    app.run_until_idle().await;
    assert_eq!(notes.sorted(), ["approve a", "small d success"]);
}

#[tokio::test]
async fn exception_triggers_match_the_error_kind() {
    let zero = on_exception::<divide>()
        .types(["DivisionByZero"])
        .call(|cx| note(format!("{} / {}: {}", cx.arguments().a, cx.arguments().b, cx.message())));
    let any_error = on_exception::<divide>().call(|cx| note(cx.kind().to_owned()));
    let (app, notes) = with(vec![zero, any_error]).await;
    app.submit_all([divide(1, 0), divide(i64::MIN, -1), divide(4, 2)]).await.unwrap();
    app.run_until_idle().await;
    assert_eq!(notes.sorted(), ["1 / 0: division by zero", "DivisionByZero", "Overflow"]);
}

#[task]
async fn rants(words: usize) -> Result<(), String> {
    Err("no ".repeat(words))
}

#[tokio::test]
async fn a_cached_large_error_fires_too() {
    let trigger = on_exception::<rants>().call(|cx| note(cx.message().len().to_string()));
    let tasks = tasks![rants, note];
    let configure = |builder: pynenc::PynencBuilder| {
        builder.tasks(tasks).trigger(trigger).arg_cache(pynenc::ArgCacheMode::Memory, 100, 10)
    };
    let (app, notes) = app(configure).await;
    app.submit(rants(1000)).await.unwrap();
    app.run_until_idle().await;
    assert_eq!(notes.sorted(), ["3000"]);
}

#[tokio::test]
async fn final_statuses_fire() {
    let trigger = on_status::<divide>([Status::Failed, Status::Cancelled])
        .call(|cx| note(format!("{} {}", cx.status(), cx.arguments().a)));
    let (app, notes) = with(vec![trigger]).await;
    let waiting = app.submit(divide(7, 1).delay(hours(1))).await.unwrap();
    app.submit_all([divide(1, 1), divide(2, 0)]).await.unwrap();
    assert!(waiting.cancel().await.unwrap());
    app.run_until_idle().await;
    assert_eq!(notes.sorted(), ["cancelled 7", "failed 2"]);
}

#[tokio::test]
async fn every_event_fires_with_its_own_payload() {
    let admins = on_event::<Value>("login").matching(json!({"role": "admin"}));
    let admins = admins.call(|cx| note(format!("admin {}", cx.payload()["name"])));
    let of_ana = on_event::<Value>("login").key("ana").then(note("ana".into()));
    let (app, notes) = with(vec![admins, of_ana]).await;
    for (name, role) in [("bea", "admin"), ("ana", "user"), ("eva", "admin")] {
        app.emit_event("login", &json!({"name": name, "role": role, "at": [1, 2]})).key(name).await.unwrap();
    }
    app.run_until_idle().await;
    assert_eq!(notes.sorted(), ["admin \"bea\"", "admin \"eva\"", "ana"]);
}

#[tokio::test]
async fn event_contexts_carry_the_sequence() {
    let trigger = on_event::<u32>("n").call(|cx| note(format!("{:03} {}", cx.sequence(), cx.payload())));
    let (app, notes) = with(vec![trigger]).await;
    let places = app.emit_events("n", &[10, 9, 8]).await.unwrap();
    app.run_until_idle().await;
    let expected: Vec<_> = places.iter().zip([10, 9, 8]).map(|(place, n)| format!("{place:03} {n}")).collect();
    assert_eq!(notes.sorted(), expected);
}

#[tokio::test]
async fn a_burst_of_ten_thousand_events_fires_each_once() {
    let trigger = on_event::<u32>("burst").call(|cx| note(format!("{:05}", cx.payload())));
    let (app, notes) = with(vec![trigger]).await;
    let payloads: Vec<u32> = (0..10_000).collect();
    app.emit_events("burst", &payloads).await.unwrap();
    app.advance(secs(1)).await;
    assert_eq!(notes.sorted(), payloads.iter().map(|n| format!("{n:05}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_failing_provider_doesnt_stop_a_chain() {
    let first = on_event::<i64>("start").call(|cx| divide(10, *cx.payload()));
    let second = on_success::<divide>().try_call(|cx| match cx.result() {
        0..5 => Ok(note(format!("got {}", cx.result()))),
        _ => Err("too large"),
    });
    let (app, notes) = with(vec![first, second.id("second")]).await;
    app.emit_events("start", &[5, 1]).await.unwrap();
    app.run_until_idle().await;
    assert_eq!(notes.sorted(), ["got 2"]);
    let runs = app.triggers().runs("second", 10).await.unwrap();
    assert!(runs.iter().any(|run| format!("{:?}", run.run.outcome).contains("too large")), "{runs:?}");
}

#[tokio::test]
async fn an_event_emitted_before_any_runner_fires() {
    let stores = crate::stores::Stores::new();
    tokio::time::pause();
    let producer = stores.builder().build().await.unwrap();
    producer.emit_event("early", &1).await.unwrap();
    let notes = Notes::default();
    let trigger = |name: &str| on_event::<u32>("early").then(note(name.to_owned())).id(name);
    let builder = stores.builder().tasks(tasks![note]).state(notes.clone());
    let app = builder.trigger(trigger("one")).trigger(trigger("two")).build().await.unwrap();
    let runner = app.start_runner().await.unwrap();
    tokio::time::sleep(secs(1)).await;
    assert_eq!(notes.sorted(), ["one", "two"]);
    runner.shutdown().await.unwrap();
}
