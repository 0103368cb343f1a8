//! Tests that replay recorded runs with later code.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pynenc::prelude::*;
use pynenc::testing::{Replayed, replay_with};
use pynenc::workflows::History;
use pynenc::{InvocationId, PynencBuilder};
use serde_json::json;

use crate::stores::app;

/// Selects the version of the code.
type Form = Arc<AtomicU32>;

#[task]
async fn charge(amount: u64) -> u64 {
    amount
}

#[workflow]
async fn order(#[inject] wf: Workflow, #[inject] form: State<Form>, amount: u64) -> Result<u64> {
    let form = form.load(Ordering::SeqCst);
    if form == 1 {
        wf.step("added", || async { Ok::<_, Error>(()) }).await?;
    }
    let amount = if form == 2 { amount + 1 } else { amount };
    let paid = wf.execute(charge(amount)).await?;
    if form != 3 {
        wf.sleep(hours(1)).await?;
    }
    let name = if form == 4 { "sent" } else { "shipped" };
    let sent = wf.step(name, || async { Ok::<_, Error>(paid + 1) }).await?;
    Ok(sent + if form == 5 { wf.execute(charge(1)).await? } else { 0 })
}

async fn recorded(app: &Pynenc, id: InvocationId) -> History {
    let history = app.workflows().export(id).await.unwrap();
    let text = serde_json::to_string_pretty(&history).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn with_form(form: u32) -> impl Fn(PynencBuilder) -> PynencBuilder {
    move |builder| builder.without_linked_tasks().tasks(tasks![order, charge]).state(Form::new(form.into()))
}

async fn mismatch(history: &History, form: u32) -> (String, String) {
    match replay_with(history, with_form(form)).await {
        Err(Error::NonDeterminism { mismatch, .. }) => (mismatch.position, mismatch.found),
        other => panic!("{form}: {other:?}"),
    }
}

#[tokio::test]
async fn a_replay_reports_whether_code_matches_a_recorded_run() {
    let (app, _) = app(|builder| with_form(0)(builder)).await;
    let invocation = app.submit(order(5)).await.unwrap();
    app.advance(minutes(10)).await;
    let half = recorded(&app, invocation.id()).await;
    assert_eq!(invocation.result().await.unwrap(), 6);
    let whole = recorded(&app, invocation.id()).await;
    assert_eq!((half.steps.len(), whole.steps.len()), (2, 3));

    assert_eq!(replay_with(&whole, with_form(0)).await.unwrap(), Replayed::Returned(json!(6)));
    assert_eq!(replay_with(&half, with_form(0)).await.unwrap(), Replayed::Open);
    assert_eq!(replay_with(&whole, with_form(5)).await.unwrap(), Replayed::Open, "the code continues after the record");
    let (position, found) = mismatch(&whole, 1).await;
    assert_eq!((position.as_str(), found.as_str()), ("1", "step `added`"));
    let (position, found) = mismatch(&whole, 2).await;
    assert!(position == "1" && found.ends_with("with other arguments"), "{found}");
    assert_eq!(mismatch(&half, 3).await, ("2".to_owned(), "step `shipped`".to_owned()));
    assert_eq!(mismatch(&whole, 4).await, ("3".to_owned(), "step `sent`".to_owned()));
}

#[tokio::test]
async fn a_history_that_cant_be_replayed_is_explained() {
    let (app, _) = app(|builder| with_form(0)(builder)).await;
    let invocation = app.submit(order(5)).await.unwrap();
    invocation.result().await.unwrap();
    let history = recorded(&app, invocation.id()).await;
    let of_another_time = History { format: 9, ..history.clone() };
    let error = replay_with(&of_another_time, with_form(0)).await.unwrap_err().to_string();
    assert!(error.contains("form") && error.contains('9'), "{error}");
    let of_another_program = History { task: "elsewhere".into(), ..history };
    let error = replay_with(&of_another_program, with_form(0)).await.unwrap_err();
    assert!(matches!(error, Error::UnknownTask { .. }), "{error}");
    assert!(app.workflows().export(InvocationId::new()).await.is_err());
}
