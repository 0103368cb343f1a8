//! Tests of values that don't round-trip. Each is refused where it is made.

use pynenc::prelude::*;
use pynenc::{PynencBuilder, Reason};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::backend::{App, Backend, on_each_backend};

type Nested = Option<Option<u8>>;

/// Both serializers can write this value and can't read it, because the reader of a tagged enum has no 128-bit
/// integers.
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

/// Returns the error of an awaited call.
#[task]
async fn calls() -> String {
    takes(Some(None)).await.expect_err("the argument doesn't round-trip").to_string()
}

#[task]
async fn emits(#[inject] context: TaskContext) -> String {
    let emitted = context.engine().emit_event("made", &Some(())).await;
    emitted.expect_err("the payload doesn't round-trip").to_string()
}

#[workflow]
async fn steps(#[inject] wf: Workflow) -> Result<Vec<String>> {
    let nested = wf.step("nested", async || Ok::<_, Error>(Some(None::<u8>))).await;
    let tagged = wf.step("tagged", async || Ok::<_, Error>(wide())).await;
    let executed = wf.execute(takes(Some(None))).await;
    let kept = wf.set_data("nested", &Some(())).await;
    let errors = [nested.err(), tagged.err(), executed.err(), kept.err()];
    Ok(errors.into_iter().map(|error| error.expect("none of the values round-trips").to_string()).collect())
}

/// A journal distinguishes a missing value from `None`, and keeps every digit of an event.
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

async fn app(backend: Backend, configure: impl Fn(PynencBuilder) -> PynencBuilder) -> App {
    let tasks =
        || tasks![takes, takes_tagged, keyed, gives, gives_unit, gives_tagged, fails, calls, emits, steps, keeps];
    backend.app(|builder| configure(builder.without_linked_tasks().tasks(tasks()))).await
}

/// The apps of a backend, one for each serializer.
async fn apps(backend: Backend) -> [App; 2] {
    let of = |serializer: &'static str| app(backend, move |builder| builder.set("serializer_cls", serializer));
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

/// Checks that a task fails with a rejected result, without retries.
async fn check_rejected<T: Task>(app: &App, call: Call<T>, parts: &[&str]) {
    let invocation = app.submit(call).await.unwrap();
    let Err(Error::TaskFailed(error)) = invocation.result().await else { panic!("the result wasn't rejected") };
    assert_eq!(error.kind, "ResultRejected");
    check_text(&error.message, parts);
    check_text(&error.message, &["type: ", &format!("task: {}", T::definition().name)]);
    let history = invocation.history().await.unwrap();
    let last = history.last().unwrap();
    assert_eq!((last.status, last.reason), (Status::Failed, Reason::ResultRejected));
    assert_eq!(history.iter().filter(|entry| entry.status == Status::Running).count(), 1, "{history:?}");
}

on_each_backend![
    an_argument_that_doesnt_round_trip_is_refused,
    an_argument_that_cant_be_decoded_is_refused,
    without_read_back_a_bad_argument_fails_in_the_worker,
    a_result_that_doesnt_round_trip_fails,
    keys_and_events_refuse_the_same_values,
    error_messages_are_stored_as_text,
    workflow_operations_refuse_the_same_values,
    journals_keep_options_and_numbers,
];

async fn an_argument_that_doesnt_round_trip_is_refused(backend: Backend) {
    for app in apps(backend).await {
        check_invalid(app.submit(takes(Some(None))).await, &["argument: value", "Some(None)"]);
        check_invalid(app.submit_all([takes(None), takes(Some(None))]).await, &["argument: value"]);
        check_invalid(app.encode(takes(Some(None))).await, &["argument: value"]);
        check_text(&app.submit(calls()).await.unwrap().result().await.unwrap(), &["argument: value", "Some(None)"]);
        assert!(!app.submit(takes(None)).await.unwrap().result().await.unwrap());
        assert!(app.submit(takes(Some(Some(0)))).await.unwrap().result().await.unwrap());
    }
    check_invalid(takes(Some(None)).encode(), &["argument: value"]);
}

async fn an_argument_that_cant_be_decoded_is_refused(backend: Backend) {
    let parts = ["argument: value", "Tagged", "can write the value and can't read it back"];
    for app in apps(backend).await {
        check_invalid(app.submit(takes_tagged(wide())).await, &parts);
        check_invalid(app.encode(takes_tagged(wide())).await, &parts);
    }
    check_invalid(takes_tagged(wide()).encode(), &parts);
    let synchronous = Pynenc::builder().without_config_file().environment([]).dev_mode_force_sync_tasks(true);
    let synchronous = synchronous.without_linked_tasks().tasks(tasks![takes_tagged]);
    check_invalid(synchronous.build().await.unwrap().submit(takes_tagged(wide())).await, &parts);
}

async fn without_read_back_a_bad_argument_fails_in_the_worker(backend: Backend) {
    let app = app(backend, |builder| builder.read_back_arguments(false)).await;
    let invocation = app.submit(takes_tagged(wide())).await.unwrap();
    assert!(invocation.result().await.is_err());
    assert_eq!(invocation.history().await.unwrap().last().unwrap().reason, Reason::CorruptRecord);
}

async fn a_result_that_doesnt_round_trip_fails(backend: Backend) {
    for app in apps(backend).await {
        check_rejected(&app, gives(true), &["Some(None)", "Option<core::option::Option<u8>>"]).await;
        check_rejected(&app, gives_unit(), &["Some(())"]).await;
        check_rejected(&app, gives_tagged(), &["Tagged", "can write the value and can't read it back"]).await;
        assert_eq!(app.submit(gives(false)).await.unwrap().result().await.unwrap(), None);
    }
}

async fn keys_and_events_refuse_the_same_values(backend: Backend) {
    for app in apps(backend).await {
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

async fn error_messages_are_stored_as_text(backend: Backend) {
    for app in apps(backend).await {
        let error = app.submit(fails(true)).await.unwrap().result().await.unwrap_err();
        assert!(matches!(error, Error::TaskFailed(error) if error.message == "Some(None)"));
    }
}

async fn workflow_operations_refuse_the_same_values(backend: Backend) {
    for app in apps(backend).await {
        let errors = app.submit(steps()).await.unwrap().result().await.unwrap();
        let [nested, tagged, executed, kept] = &errors[..] else { panic!("{errors:?}") };
        check_text(nested, &["step `nested`", "Some(None)"]);
        check_text(tagged, &["step `tagged`", "can't read it back"]);
        check_text(executed, &["argument: value", "Some(None)"]);
        check_text(kept, &["Some(())"]);
    }
}

async fn journals_keep_options_and_numbers(backend: Backend) {
    let (integer, float) = (u128::MAX - 1, 31.245_270_191_439_438_f64);
    for app in apps(backend).await {
        let run = app.submit(keeps()).await.unwrap();
        app.emit_event("precise", &(integer, float)).await.unwrap();
        let (keeps_none, back, float_back) = run.result().await.unwrap();
        assert!(keeps_none && back == integer && float_back.to_bits() == float.to_bits(), "{back} {float_back}");
    }
}

/// Calls by name are checked against the task in every build.
#[tokio::test]
async fn a_call_by_name_with_an_undecodable_argument_is_refused() {
    let app = app(Backend::Memory, |builder| builder.read_back_arguments(false)).await;
    let arguments = json!({"value": {"kind": "Wide", "number": 7}}).as_object().cloned().unwrap();
    check_invalid(app.call_by_name("takes_tagged", &arguments).await, &["argument: value"]);
}
