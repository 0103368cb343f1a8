//! Tests of the errors for invalid triggers.

use pynenc::prelude::*;
use pynenc::triggers::Trigger;

#[task]
async fn note(text: String) -> String {
    text
}

#[task]
async fn elsewhere() {}

#[task(triggers = on_cron("whenever"))]
async fn whenever() {}

async fn error(configure: impl FnOnce(pynenc::PynencBuilder) -> pynenc::PynencBuilder) -> String {
    let builder = Pynenc::builder().without_config_file().environment([]).memory().without_linked_tasks();
    configure(builder.tasks(tasks![note])).build().await.unwrap_err().to_string()
}

async fn check(trigger: Trigger, parts: &[&str]) {
    let error = error(|builder| builder.trigger(trigger)).await;
    assert!(parts.iter().all(|part| error.contains(part)), "{error}: not all of {parts:?}");
}

#[tokio::test]
async fn mistakes_are_build_errors_with_advice() {
    let text = || note("x".into());
    check(on_cron("61 * * * *").then(text()).id("mine"), &["mine", "61 * * * *", "five fields"]).await;
    check(on_cron("* * * * *").timezone("Madrid").then(text()), &["Madrid", "Europe/Madrid", "::note"]).await;
    check(on_cron("x".repeat(10_000)).then(text()), &["too long", "10000"]).await;
    check(on_cron("0 0 31 2 *").then(text()), &["no time ever fits"]).await;
    check(on_status::<note>([Status::Running]).then(text()), &["final", "::note"]).await;
    check(on_status::<note>([]).then(text()), &["final"]).await;
    check(on_event::<u32>("").then(text()), &["needs a name"]).await;
    check(on_event::<u32>("n").then(elsewhere()), &["::elsewhere", "this app has"]).await;
    check(on_event::<u32>("n").then(text()).id(""), &["id"]).await;
    check(on_event::<u32>("n").then(text().priority(10)), &["priority"]).await;
    let long = on_cron("* * * * *").misfire(Misfire::All(hours(25)));
    check(all((long, on_event::<u32>("n"))).then(text()), &["triggers.retention"]).await;
}

#[tokio::test]
async fn two_triggers_with_one_id_are_a_build_error() {
    let same = || on_event::<u32>("n").then(note("x".into())).id("same");
    let error = error(|builder| builder.trigger(same()).trigger(same())).await;
    assert!(error.contains("same") && error.contains("another"), "{error}");
}

#[tokio::test]
async fn a_wrong_attribute_names_its_task() {
    let error = error(|builder| builder.tasks(tasks![whenever])).await;
    assert!(error.contains("::whenever") && error.contains("cron: whenever"), "{error}");
}

#[tokio::test]
async fn derived_ids_are_stable_and_unique() {
    let ids = async || {
        let builder = Pynenc::builder().without_config_file().environment([]).memory().without_linked_tasks();
        let builder = builder.tasks(tasks![note]);
        let same = || on_event::<u32>("n").call(|cx| note(cx.payload().to_string()));
        let other = on_event::<u32>("m").call(|cx| note(cx.payload().to_string()));
        let app = builder.trigger(same()).trigger(other).trigger(same()).build().await.unwrap();
        let runner = app.start_runner().await.unwrap();
        while app.triggers().list().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let ids: Vec<_> = app.triggers().list().await.unwrap().into_iter().map(|it| it.id.to_string()).collect();
        runner.shutdown().await.unwrap();
        ids
    };
    let first = ids().await;
    assert_eq!(first, ids().await);
    assert_eq!(first.len(), 3);
    assert!(first.iter().any(|id| id.ends_with(".2")), "{first:?}");
}

#[tokio::test]
async fn settings_are_read_and_a_zero_is_refused() {
    let error = error(|builder| builder.set("triggers.offer_timeout", "0s")).await;
    assert!(error.contains("`triggers.offer_timeout`"), "{error}");
    let builder = Pynenc::builder().without_config_file().memory().without_linked_tasks();
    let variable = ("PYNENC__TRIGGERS__RETENTION".to_owned(), "2days".to_owned());
    let app = builder.environment([variable]).build().await.unwrap();
    let retention = app.explain().into_iter().find(|setting| setting.key == "triggers.retention").unwrap();
    assert_eq!((retention.value.as_str(), retention.source.as_str()), ("2days", "PYNENC__TRIGGERS__RETENTION"));
}

#[tokio::test]
async fn invalid_events_are_refused() {
    let builder = Pynenc::builder().without_config_file().environment([]).memory().without_linked_tasks();
    let app = builder.set("arg_cache.max_size", 2048).build().await.unwrap();
    let error = app.emit_event("", &1).await.unwrap_err().to_string();
    assert!(error.contains("needs a name"), "{error}");
    let error = app.emit_event("n", &"x".repeat(4096)).await.unwrap_err().to_string();
    assert!(error.contains("arg_cache.max_size") && error.contains("2048"), "{error}");
}
