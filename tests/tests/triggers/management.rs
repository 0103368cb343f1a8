//! Tests of managing triggers while an app runs.

use pynenc::core::trigger_store::TriggerUpdate;
use pynenc::prelude::*;
use pynenc::testing::TestApp;
use serde_json::{Value, json};

use crate::stores::{Notes, Stores, app};

#[task]
async fn note(#[inject] notes: State<Notes>, text: String) {
    notes.add(text);
}

#[task]
async fn add(x: i64, y: i64) -> i64 {
    x + y
}

async fn with_two() -> (TestApp, Notes) {
    app(|builder| {
        builder
            .tasks(tasks![note, add])
            .trigger(on_cron("0 * * * *").call(|_| note("hour".into())).id("hour"))
            .trigger(on_event::<u32>("n").call(|cx| note(format!("event {}", cx.payload()))).id("event"))
    })
    .await
}

fn error<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test]
async fn triggers_are_listed_with_their_conditions() {
    let (app, _) = with_two().await;
    let listed = app.triggers().list().await.unwrap();
    let shown: Vec<_> = listed.iter().map(|it| (&*it.id, it.spec.to_string(), it.paused, it.added)).collect();
    let expected =
        [("event", "event n".to_owned(), false, false), ("hour", "cron 0 * * * * UTC".to_owned(), false, false)];
    assert_eq!(shown, expected);
    assert!(listed.iter().all(|it| it.spec.target.task().as_str() == note::NAME));
}

#[tokio::test]
async fn a_paused_trigger_ignores_occurrences() {
    let (app, notes) = with_two().await;
    app.triggers().pause("hour").await.unwrap();
    app.triggers().pause("event").await.unwrap();
    app.run_until_idle().await;
    assert!(app.triggers().list().await.unwrap().iter().all(|it| it.paused));
    app.emit_event("n", &1).await.unwrap();
    app.advance(hours(5)).await;
    assert_eq!(notes.sorted(), [""; 0]);
    app.triggers().resume("hour").await.unwrap();
    app.triggers().resume("event").await.unwrap();
    app.run_until_idle().await;
    app.emit_event("n", &2).await.unwrap();
    app.advance(hours(1)).await;
    assert_eq!(notes.sorted(), ["event 2", "hour"], "occurrences during the pause don't fire");
}

#[tokio::test]
async fn a_pause_outlives_runners() {
    tokio::time::pause();
    let (stores, notes) = (Stores::new(), Notes::default());
    let trigger = || on_event::<u32>("n").call(|cx| note(cx.payload().to_string())).id("event");
    let builder = || stores.builder().tasks(tasks![note]).state(notes.clone()).trigger(trigger());
    let first = builder().build().await.unwrap();
    let runner = first.start_runner().await.unwrap();
    tokio::time::sleep(secs(1)).await;
    first.triggers().pause("event").await.unwrap();
    runner.shutdown().await.unwrap();
    tokio::time::sleep(hours(1)).await;
    let second = builder().build().await.unwrap();
    let runner = second.start_runner().await.unwrap();
    second.emit_event("n", &1).await.unwrap();
    tokio::time::sleep(secs(1)).await;
    assert_eq!(notes.sorted(), [""; 0]);
    runner.shutdown().await.unwrap();
}

#[tokio::test]
async fn run_now_fires_a_trigger() {
    let (app, notes) = with_two().await;
    let id = app.triggers().run_now("hour").await.unwrap();
    app.invocation::<note>(id).result().await.unwrap();
    app.triggers().run_now("hour").await.unwrap();
    app.run_until_idle().await;
    assert_eq!(notes.sorted(), ["hour", "hour"]);
    assert_eq!(app.triggers().runs("hour", 10).await.unwrap().len(), 2);
    let made_of_an_event = error(app.triggers().run_now("event").await);
    assert!(made_of_an_event.contains("has to happen"), "{made_of_an_event}");
    let unknown = error(app.triggers().run_now("day").await);
    assert!(unknown.contains("event, hour"), "{unknown}");
}

#[tokio::test]
async fn next_lists_the_next_times() {
    let (app, _) = with_two().await;
    let next = app.triggers().next("hour", 3).await.unwrap();
    assert!(next[0] > app.parts().clock.now() && next[0].as_millis() % 3_600_000 == 0);
    assert_eq!((next[1].since(next[0]), next[2].since(next[1]), next.len()), (hours(1), hours(1), 3));
    assert_eq!(app.triggers().next("event", 3).await.unwrap(), []);
}

#[tokio::test]
async fn a_schedule_keeps_its_chosen_dialect() {
    let (app, _) = with_two().await;
    let friday = || on_cron("0 0 13 * FRI").timezone("Europe/Madrid");
    let monday = || on_cron("0 0 12 ? * 2");
    for (id, cron) in [
        ("open", friday()),
        ("either", friday().either_day()),
        ("both", friday().both_days()),
        ("crontab", monday()),
        ("quartz", monday().quartz()),
    ] {
        app.triggers().add(cron.then(note("x".into())).id(id)).await.unwrap();
    }
    let words = async |id: &str| app.triggers().schedules(id, 1).await.unwrap()[0].description.clone();
    assert_eq!(words("open").await, "at 00:00 on day 13 of the month or on Friday");
    assert_eq!(words("either").await, "at 00:00 on day 13 of the month or on Friday");
    assert_eq!(words("both").await, "at 00:00 on Friday, if it is also day 13 of the month");
    assert_eq!(
        (words("crontab").await, words("quartz").await),
        ("at 12:00 on Tuesday".into(), "at 12:00 on Monday".into())
    );
    let next = app.triggers().schedules("both", 2).await.unwrap()[0].next.clone();
    assert!(next.iter().all(|slot| slot.local.contains("-13T00:00:00") && slot.local.ends_with("[Europe/Madrid]")));
    assert_eq!(next.iter().map(|slot| slot.at).collect::<Vec<_>>(), app.triggers().next("both", 2).await.unwrap());
    let warned: Vec<_> = app.triggers().warnings().await.unwrap().into_iter().map(|(id, _)| id.to_string()).collect();
    assert_eq!(warned, ["crontab", "open"]);
}

#[tokio::test]
async fn schedules_are_added_changed_and_removed() {
    let (app, notes) = with_two().await;
    app.triggers().pause("hour").await.unwrap();
    let each = |cron: &str, text: &str| on_cron(cron).then(note(text.to_owned())).id("mine");
    app.triggers().add(each("*/10 * * * *", "ten")).await.unwrap();
    app.advance(hours(1)).await;
    assert_eq!(notes.sorted(), ["ten"; 6]);
    app.triggers().add(each("*/30 * * * *", "thirty")).await.unwrap();
    app.advance(hours(1)).await;
    assert_eq!(notes.sorted(), [["ten"; 6].as_slice(), &["thirty"; 2]].concat());
    assert!(app.triggers().list().await.unwrap().iter().any(|it| &*it.id == "mine" && it.added));
    app.triggers().remove("mine").await.unwrap();
    app.advance(hours(1)).await;
    assert_eq!(notes.sorted().len(), 8);
}

#[tokio::test]
async fn completion_and_event_triggers_can_be_added() {
    let (app, notes) = with_two().await;
    let sums = on_success::<add>().matching_result(json!(3)).then(note("three".into()));
    let id = app.triggers().add(sums).await.unwrap();
    assert!(id.starts_with(note::NAME), "{id}");
    app.triggers().add(on_event::<Value>("x").matching(json!({"on": true})).then(note("on".into()))).await.unwrap();
    app.submit_all([add(1, 2), add(2, 2)]).await.unwrap();
    app.emit_events("x", &[json!({"on": true}), json!({"on": false})]).await.unwrap();
    app.run_until_idle().await;
    assert_eq!(notes.sorted(), ["on", "three"]);
}

#[tokio::test]
async fn an_added_trigger_survives_a_full_restart() {
    tokio::time::pause();
    let (stores, notes) = (Stores::new(), Notes::default());
    let builder = || stores.builder().tasks(tasks![note, add]).state(notes.clone());
    let first = builder().build().await.unwrap();
    first.triggers().add(on_cron("0 * * * *").then(note("hour".into())).id("hour")).await.unwrap();
    tokio::time::sleep(hours(200)).await;
    let second = builder().build().await.unwrap();
    let runner = second.start_runner().await.unwrap();
    tokio::time::sleep(hours(2)).await;
    runner.shutdown().await.unwrap();
    assert_eq!(notes.sorted(), ["hour", "hour"]);
}

#[tokio::test]
async fn a_runner_without_the_task_leaves_an_added_trigger_to_others() {
    tokio::time::pause();
    let (stores, notes) = (Stores::new(), Notes::default());
    let without_task = stores.builder().tasks(tasks![add]).build().await.unwrap().start_runner().await.unwrap();
    let app = stores.builder().tasks(tasks![note]).state(notes.clone()).build().await.unwrap();
    app.triggers().add(on_event::<u32>("n").then(note("seen".into())).id("n")).await.unwrap();
    app.emit_event("n", &1).await.unwrap();
    tokio::time::sleep(minutes(5)).await;
    without_task.shutdown().await.unwrap();
    let runner = app.start_runner().await.unwrap();
    tokio::time::sleep(secs(1)).await;
    assert_eq!(notes.sorted(), ["seen"]);
    runner.shutdown().await.unwrap();
}

#[tokio::test]
async fn invalid_additions_and_removals_are_explained() {
    let (app, _) = with_two().await;
    let closure = error(app.triggers().add(on_event::<u32>("n").call(|cx| note(cx.payload().to_string()))).await);
    assert!(closure.contains("`then`") && closure.contains("`matching`"), "{closure}");
    let filter = error(app.triggers().add(on_event::<u32>("n").filter(|_| true).then(note("x".into()))).await);
    assert!(filter.contains("`matching`"), "{filter}");
    let taken = error(app.triggers().add(on_cron("* * * * *").then(note("x".into())).id("hour")).await);
    assert!(taken.contains("another") && taken.contains("hour"), "{taken}");
    let code = error(app.triggers().remove("hour").await);
    assert!(code.contains("pause it"), "{code}");
    let text = error(app.triggers().add(on_cron("often").then(note("x".into()))).await);
    assert!(text.contains("often") && text.contains("five fields"), "{text}");
}

#[tokio::test]
async fn an_unreadable_stored_trigger_stops_no_other() {
    let (app, notes) = with_two().await;
    let definition =
        pynenc::core::trigger_store::TriggerDefinition { id: "odd".into(), spec: (&b"\xffodd"[..]).into() };
    let update = TriggerUpdate::Define { definition, length: None };
    app.parts().triggers.update_definitions(&[update]).await.unwrap();
    app.emit_event("n", &1).await.unwrap();
    app.run_until_idle().await;
    assert_eq!(notes.sorted(), ["event 1"]);
    assert!(error(app.triggers().list().await).contains("odd"));
    app.triggers().remove("odd").await.unwrap();
    assert_eq!(app.triggers().list().await.unwrap().len(), 2);
}
