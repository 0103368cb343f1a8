//! Tests of failing filters and call providers. The failure is recorded on its run and affects no other.

use pynenc::core::trigger_store::{Delivery, RunOutcome};
use pynenc::prelude::*;
use pynenc::testing::TestApp;
use pynenc::triggers::Trigger;
use serde::Deserialize;

use crate::stores::{Notes, app};

#[task]
async fn note(#[inject] notes: State<Notes>, text: String) {
    notes.add(text);
}

#[task(registration_concurrency = keys(key), on_diff_non_key_args_raise = true)]
async fn picky(key: String, text: String) -> String {
    key + &text
}

async fn with(triggers: Vec<Trigger>) -> (TestApp, Notes) {
    app(|builder| triggers.into_iter().fold(builder.tasks(tasks![note, picky]), pynenc::PynencBuilder::trigger)).await
}

/// The errors of a trigger's failed runs.
async fn failures(app: &TestApp, trigger: &str) -> Vec<String> {
    let runs = app.triggers().runs(trigger, 100).await.unwrap();
    let failures = runs.into_iter().rev().filter_map(|fired| match (fired.run.outcome, fired.delivery) {
        (RunOutcome::Failed(why), _) | (_, Delivery::Refused(why)) => Some(why.into_string()),
        _ => None,
    });
    failures.collect()
}

fn healthy() -> Trigger {
    on_event::<u32>("n").call(|cx| note(format!("healthy {}", cx.payload())))
}

#[tokio::test]
async fn a_filter_that_panics_stops_nothing() {
    let panics = on_event::<u32>("n").filter(|cx| {
        assert!(*cx.payload() != 2, "two is one too many");
        true
    });
    let (app, notes) =
        with(vec![panics.call(|cx| note(format!("kept {}", cx.payload()))).id("panics"), healthy()]).await;
    app.emit_events("n", &[1, 2, 3]).await.unwrap();
    app.run_until_idle().await;
    assert_eq!(notes.sorted(), ["healthy 1", "healthy 2", "healthy 3", "kept 1", "kept 3"]);
    assert_eq!(failures(&app, "panics").await, ["panicked: two is one too many"]);
}

#[tokio::test]
async fn a_provider_that_panics_or_fails_stops_nothing() {
    let panics = on_event::<u32>("n").call(|cx| match cx.payload() {
        1 => note("one".into()),
        other => panic!("no call of {other}"),
    });
    let fails = on_event::<u32>("n").try_call(|cx| u8::try_from(cx.payload() + 254).map(|n| note(n.to_string())));
    let (app, notes) = with(vec![panics.id("panics"), fails.id("fails"), healthy()]).await;
    app.emit_events("n", &[1, 2]).await.unwrap();
    app.run_until_idle().await;
    assert_eq!(notes.sorted(), ["255", "healthy 1", "healthy 2", "one"]);
    assert_eq!(failures(&app, "panics").await, ["panicked: no call of 2"]);
    assert_eq!(failures(&app, "fails").await, ["out of range integral type conversion attempted"]);
    app.advance(hours(1)).await;
    assert_eq!(failures(&app, "panics").await.len(), 1, "a failed run isn't repeated");
}

#[derive(Debug, Deserialize)]
struct Login {
    name: String,
}

#[tokio::test]
async fn a_payload_of_another_type_is_reported() {
    let typed = on_event::<Login>("login").call(|cx| note(cx.payload().name.clone())).id("typed");
    let (app, notes) = with(vec![typed]).await;
    app.emit_event("login", &7).await.unwrap();
    app.emit_event("login", &serde_json::json!({"name": "ana"})).await.unwrap();
    app.run_until_idle().await;
    assert_eq!(notes.sorted(), ["ana"]);
    let failures = failures(&app, "typed").await;
    assert!(failures.len() == 1 && failures[0].contains("login"), "{failures:?}");
}

#[tokio::test]
async fn a_refused_call_is_reported() {
    let trigger = on_event::<String>("n").call(|cx| picky("key".into(), cx.into_payload()).delay(hours(1))).id("picky");
    let (app, _) = with(vec![trigger]).await;
    app.emit_events("n", &["one", "two"]).await.unwrap();
    app.run_until_idle().await;
    let failures = failures(&app, "picky").await;
    assert!(failures.len() == 1 && failures[0].contains("text"), "{failures:?}");
    assert_eq!(app.submitted::<picky>().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_failing_provider_consumes_its_occurrences() {
    let both = all((on_event::<u32>("a"), on_event::<u32>("b")));
    let fails =
        both.try_call(|(a, b)| a.payload().checked_sub(*b.payload()).map(|n| note(n.to_string())).ok_or("less"));
    let (app, notes) = with(vec![fails.id("pair")]).await;
    app.emit_events("a", &[1, 9]).await.unwrap();
    app.emit_events("b", &[5, 5]).await.unwrap();
    app.run_until_idle().await;
    assert_eq!(notes.sorted(), ["4"]);
    assert_eq!(failures(&app, "pair").await, ["less"]);
}
