//! Values that wouldn't come back: each is refused where it is made, whatever it is made for.

use pynenc::prelude::*;
use pynenc::{PynencBuilder, Reason};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::place::{App, Place, on_both};

type Nested = Option<Option<u8>>;

/// Both serializers write it and can't read it: the reader of a tagged enum has no integers of 128 bits.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Wide { number: u128 },
}

fn wide() -> Tagged {
    Tagged::Wide { number: 7 }
}

#[task(max_retries = 3, backoff = constant("1ms"))]
async fn takes(value: Nested) -> bool {
    value.is_some()
}

#[task(max_retries = 3, backoff = constant("1ms"))]
fn takes_tagged(value: Tagged) -> bool {
    value == wide()
}

#[task(registration_concurrency = arguments)]
async fn keyed(value: Nested) -> bool {
    value.is_some()
}

#[task(max_retries = 3, backoff = constant("1ms"))]
async fn gives(is_some: bool) -> Nested {
    is_some.then_some(None)
}

#[task(max_retries = 3, backoff = constant("1ms"))]
async fn gives_unit() -> Result<Option<()>, String> {
    Ok(Some(()))
}

#[task(max_retries = 3, backoff = constant("1ms"))]
fn gives_tagged() -> Tagged {
    wide()
}

#[task]
async fn fails(is_some: bool) -> Result<(), String> {
    let value: Option<Option<u8>> = is_some.then_some(None);
    Err(format!("{value:?}"))
}

/// Gives the error of an awaited call as a value.
#[task]
async fn calls() -> String {
    takes(Some(None)).await.expect_err("the argument can't be told from another").to_string()
}

#[task]
async fn emits(#[inject] context: TaskContext) -> String {
    let emitted = context.engine().emit_event("made", &Some(())).await;
    emitted.expect_err("the payload can't be told from another").to_string()
}

#[workflow]
async fn steps(#[inject] wf: Workflow) -> Result<Vec<String>> {
    let nested = wf.step("nested", async || Ok::<_, Error>(Some(None::<u8>))).await;
    let tagged = wf.step("tagged", async || Ok::<_, Error>(wide())).await;
    let executed = wf.execute(takes(Some(None))).await;
    let kept = wf.set_data("nested", &Some(())).await;
    let errors = [nested.err(), tagged.err(), executed.err(), kept.err()];
    Ok(errors.into_iter().map(|error| error.expect("none of these comes back").to_string()).collect())
}

/// Journals tell a value that is missing from one that is `None`, and keep every digit of an event.
#[workflow(max_retries = 1, backoff = none)]
async fn keeps(#[inject] wf: Workflow, #[inject] context: TaskContext) -> Result<(bool, u128, f64)> {
    let missing: Option<Option<u8>> = wf.get_data("key").await?;
    wf.set_data("key", &None::<u8>).await?;
    let kept: Option<Option<u8>> = wf.get_data("key").await?;
    let (integer, float) = wf.wait_for_event("precise").await?;
    if context.attempt_number() == 1 {
        return Err(Error::other("the journal is read in the second attempt"));
    }
    Ok((missing.is_none() && kept == Some(None), integer, float))
}

async fn app(place: Place, configure: impl Fn(PynencBuilder) -> PynencBuilder) -> App {
    let tasks =
        || tasks![takes, takes_tagged, keyed, gives, gives_unit, gives_tagged, fails, calls, emits, steps, keeps];
    place.app(|builder| configure(builder.without_linked_tasks().tasks(tasks()))).await
}

/// The apps of a place, one for each serializer.
async fn apps(place: Place) -> [App; 2] {
    let of = |serializer: &'static str| app(place, move |builder| builder.set("serializer_cls", serializer));
    [of("JsonSerializer").await, of("MsgPackSerializer").await]
}

#[track_caller]
fn check_invalid<T>(result: Result<T>, parts: &[&str]) {
    let Err(error @ Error::Invalid(_)) = result else { panic!("{:?}", result.err()) };
    check_text(&error.to_string(), parts);
    assert!(!error.is_retryable());
}

#[track_caller]
fn check_text(text: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(text.contains(part), "no `{part}` in {text}"));
}

/// Checks that the task failed with a result that can't be recorded, and ran once.
async fn check_rejected<T: Task>(app: &App, call: Call<T>, parts: &[&str]) {
    let invocation = app.submit(call).await.unwrap();
    let Err(Error::TaskFailed(error)) = invocation.result().await else { panic!("it has no result") };
    assert_eq!(error.kind, "ResultRejected");
    check_text(&error.message, parts);
    check_text(&error.message, &["type: ", &format!("task: {}", T::definition().name)]);
    let history = invocation.history().await.unwrap();
    let last = history.last().unwrap();
    assert_eq!((last.status, last.reason), (Status::Failed, Reason::ResultRejected));
    assert_eq!(history.iter().filter(|entry| entry.status == Status::Running).count(), 1, "{history:?}");
}

on_both![
    an_argument_that_would_change_is_refused_by_the_call,
    an_argument_that_cant_be_read_is_refused_by_the_call,
    an_argument_that_isnt_read_back_fails_in_the_worker,
    a_result_that_cant_come_back_is_never_a_success,
    keys_and_events_refuse_the_same_values,
    errors_travel_as_text,
    the_steps_of_a_workflow_refuse_the_same_values,
    journals_keep_options_and_numbers,
];

async fn an_argument_that_would_change_is_refused_by_the_call(place: Place) {
    for app in apps(place).await {
        check_invalid(app.submit(takes(Some(None))).await, &["argument: value", "Some(None)"]);
        check_invalid(app.submit_all([takes(None), takes(Some(None))]).await, &["argument: value"]);
        check_invalid(app.encode(takes(Some(None))).await, &["argument: value"]);
        check_text(&app.submit(calls()).await.unwrap().result().await.unwrap(), &["argument: value", "Some(None)"]);
        assert!(!app.submit(takes(None)).await.unwrap().result().await.unwrap());
        assert!(app.submit(takes(Some(Some(0)))).await.unwrap().result().await.unwrap());
    }
    check_invalid(takes(Some(None)).encode(), &["argument: value"]);
}

async fn an_argument_that_cant_be_read_is_refused_by_the_call(place: Place) {
    let parts = ["argument: value", "Tagged", "can write the value and can't read it back"];
    for app in apps(place).await {
        check_invalid(app.submit(takes_tagged(wide())).await, &parts);
        check_invalid(app.encode(takes_tagged(wide())).await, &parts);
    }
    check_invalid(takes_tagged(wide()).encode(), &parts);
    let synchronous = Pynenc::builder().without_config_file().environment([]).dev_mode_force_sync_tasks(true);
    let synchronous = synchronous.without_linked_tasks().tasks(tasks![takes_tagged]);
    check_invalid(synchronous.build().await.unwrap().submit(takes_tagged(wide())).await, &parts);
}

async fn an_argument_that_isnt_read_back_fails_in_the_worker(place: Place) {
    let app = app(place, |builder| builder.read_back_arguments(false)).await;
    let invocation = app.submit(takes_tagged(wide())).await.unwrap();
    assert!(invocation.result().await.is_err());
    assert_eq!(invocation.history().await.unwrap().last().unwrap().reason, Reason::CorruptRecord);
}

async fn a_result_that_cant_come_back_is_never_a_success(place: Place) {
    for app in apps(place).await {
        check_rejected(&app, gives(true), &["Some(None)", "Option<core::option::Option<u8>>"]).await;
        check_rejected(&app, gives_unit(), &["Some(())"]).await;
        check_rejected(&app, gives_tagged(), &["Tagged", "can write the value and can't read it back"]).await;
        assert_eq!(app.submit(gives(false)).await.unwrap().result().await.unwrap(), None);
    }
}

async fn keys_and_events_refuse_the_same_values(place: Place) {
    for app in apps(place).await {
        check_invalid(app.submit(takes(Some(None)).idempotency_key("key")).await, &["argument: value", "Some(None)"]);
        check_invalid(app.submit(keyed(Some(None))).await, &["argument: value", "Some(None)"]);
        let (one, other) = (app.submit(keyed(None)).await.unwrap(), app.submit(keyed(Some(Some(0)))).await.unwrap());
        assert_ne!(one.id(), other.id());
        check_invalid(app.emit_event("made", &Some(None::<u8>)).await, &["event: made", "Some(None)"]);
        check_invalid(app.emit_events("made", &[None, Some(())]).await, &["event: made", "Some(())"]);
        check_text(&app.submit(emits()).await.unwrap().result().await.unwrap(), &["event: made", "Some(())"]);
        app.emit_event("made", &None::<u8>).await.unwrap();
    }
}

async fn errors_travel_as_text(place: Place) {
    for app in apps(place).await {
        let error = app.submit(fails(true)).await.unwrap().result().await.unwrap_err();
        assert!(matches!(error, Error::TaskFailed(error) if error.message == "Some(None)"));
    }
}

async fn the_steps_of_a_workflow_refuse_the_same_values(place: Place) {
    for app in apps(place).await {
        let errors = app.submit(steps()).await.unwrap().result().await.unwrap();
        let [nested, tagged, executed, kept] = &errors[..] else { panic!("{errors:?}") };
        check_text(nested, &["step `nested`", "Some(None)"]);
        check_text(tagged, &["step `tagged`", "can't read it back"]);
        check_text(executed, &["argument: value", "Some(None)"]);
        check_text(kept, &["Some(())"]);
    }
}

async fn journals_keep_options_and_numbers(place: Place) {
    let (integer, float) = (u128::MAX - 1, 31.245_270_191_439_438_f64);
    for app in apps(place).await {
        let run = app.submit(keeps()).await.unwrap();
        app.emit_event("precise", &(integer, float)).await.unwrap();
        let (keeps_none, back, float_back) = run.result().await.unwrap();
        assert!(keeps_none && back == integer && float_back.to_bits() == float.to_bits(), "{back} {float_back}");
    }
}

/// A call by name is checked against the task in every build.
#[tokio::test]
async fn a_call_by_name_with_an_argument_that_cant_be_read_is_refused() {
    let app = app(Place::Memory, |builder| builder.read_back_arguments(false)).await;
    let arguments = json!({"value": {"kind": "Wide", "number": 7}}).as_object().cloned().unwrap();
    check_invalid(app.call_by_name("takes_tagged", &arguments).await, &["argument: value"]);
}
