//! Tests of triggers with several conditions.

use pynenc::prelude::*;
use pynenc::testing::TestApp;
use pynenc::triggers::Trigger;

use crate::stores::{Notes, app};

#[task]
async fn add(x: i64, y: i64) -> i64 {
    x + y
}

#[task]
async fn multiply(x: i64, y: i64) -> i64 {
    x * y
}

#[task]
async fn note(#[inject] notes: State<Notes>, text: String) {
    notes.add(text);
}

async fn with(trigger: Trigger) -> (TestApp, Notes) {
    app(|builder| builder.tasks(tasks![add, multiply, note]).trigger(trigger)).await
}

async fn emit(app: &TestApp, name: &str, payload: i64) {
    app.emit_event(name, &payload).await.unwrap();
    app.run_until_idle().await;
}

#[tokio::test]
async fn all_waits_for_every_condition_and_passes_a_tuple() {
    let both = all((on_success::<add>(), on_success::<multiply>())).within(hours(1));
    let (app, notes) = with(both.call(|(sum, product)| note(format!("{} {}", sum.result(), product.result())))).await;
    app.submit(add(1, 2)).await.unwrap();
    app.advance(minutes(30)).await;
    assert_eq!(notes.sorted(), [""; 0]);
    app.submit(multiply(3, 4)).await.unwrap();
    app.run_until_idle().await;
    assert_eq!(notes.sorted(), ["3 12"]);
    app.submit(multiply(5, 6)).await.unwrap();
    app.run_until_idle().await;
    assert_eq!(notes.sorted(), ["3 12"], "a consumed occurrence isn't used again");
}

#[tokio::test]
async fn the_oldest_occurrences_are_combined_first() {
    let both = all((on_event::<i64>("a"), on_event::<i64>("b")));
    let (app, notes) = with(both.call(|(a, b)| note(format!("{} {}", a.payload(), b.payload())))).await;
    for n in 1..=3 {
        emit(&app, "a", n).await;
    }
    emit(&app, "b", 10).await;
    emit(&app, "b", 20).await;
    assert_eq!(notes.sorted(), ["1 10", "2 20"]);
}

#[tokio::test]
async fn occurrences_outside_the_window_arent_combined() {
    let both = all((on_event::<i64>("a"), on_event::<i64>("b"))).within(minutes(10));
    let (app, notes) = with(both.call(|(a, b)| note(format!("{} {}", a.payload(), b.payload())))).await;
    emit(&app, "a", 1).await;
    app.advance(minutes(8)).await;
    emit(&app, "a", 2).await;
    app.advance(minutes(8)).await;
    emit(&app, "b", 3).await;
    assert_eq!(notes.sorted(), ["2 3"]);
}

#[tokio::test]
async fn expired_occurrences_dont_hide_a_match() {
    let both = all((on_event::<i64>("a"), on_event::<i64>("b"))).within(minutes(10));
    let (app, notes) = with(both.call(|(a, b)| note(format!("{} {}", a.payload(), b.payload())))).await;
    app.emit_events("a", &(0..1200).collect::<Vec<i64>>()).await.unwrap();
    app.advance(minutes(20)).await;
    emit(&app, "a", -1).await;
    emit(&app, "b", 7).await;
    assert_eq!(notes.sorted(), ["-1 7"]);
}

#[tokio::test]
async fn all_has_a_default_window() {
    let both = all((on_event::<i64>("a"), on_event::<i64>("b")));
    let (app, notes) = with(both.call(|(a, b)| note(format!("{} {}", a.payload(), b.payload())))).await;
    emit(&app, "a", 1).await;
    app.advance(hours(25)).await;
    emit(&app, "b", 2).await;
    assert_eq!(notes.sorted(), [""; 0]);
    emit(&app, "a", 3).await;
    assert_eq!(notes.sorted(), ["3 2"]);
}

#[tokio::test]
async fn any_passes_a_tuple_of_options() {
    let either = any((on_event::<i64>("a"), on_cron("0 3 * * *").timezone("Europe/Madrid"), on_success::<add>()));
    let (app, notes) = with(either.call(|(event, cron, sum)| {
        note(format!("{:?} {} {:?}", event.map(|it| *it.payload()), cron.is_some(), sum.map(|it| *it.result())))
    }))
    .await;
    emit(&app, "a", 1).await;
    app.submit(add(2, 3)).await.unwrap();
    app.run_until_idle().await;
    app.advance(hours(24)).await;
    assert_eq!(notes.sorted(), ["None false Some(5)", "None true None", "Some(1) false None"]);
}

#[tokio::test]
async fn conditions_nest() {
    let nested = all((any((on_event::<i64>("a"), on_event::<i64>("b"))), on_event::<i64>("c"))).within(minutes(1));
    let (app, notes) = with(nested.call(|((a, b), c)| {
        note(format!("{:?} {:?} {}", a.map(|it| *it.payload()), b.map(|it| *it.payload()), c.payload()))
    }))
    .await;
    emit(&app, "b", 2).await;
    emit(&app, "c", 3).await;
    emit(&app, "c", 4).await;
    emit(&app, "a", 1).await;
    assert_eq!(notes.sorted(), ["None Some(2) 3", "Some(1) None 4"]);
}

#[tokio::test]
async fn any_can_contain_an_all() {
    let either = any((all((on_event::<i64>("a"), on_event::<i64>("b"))), on_event::<i64>("c")));
    let (app, notes) = with(either.call(|(pair, c)| note(format!("{} {}", pair.is_some(), c.is_some())))).await;
    emit(&app, "c", 1).await;
    emit(&app, "a", 1).await;
    emit(&app, "b", 1).await;
    assert_eq!(notes.sorted(), ["false true", "true false"]);
}

#[tokio::test]
async fn a_schedule_slot_combines_with_an_event() {
    let both = all((on_cron("0 * * * *"), on_event::<i64>("a"))).within(minutes(30));
    let (app, notes) = with(both.call(|(_, a)| note(format!("{}", a.payload())))).await;
    app.advance(hours(3)).await;
    assert_eq!(notes.sorted(), [""; 0]);
    emit(&app, "a", 1).await;
    app.advance(hours(1)).await;
    emit(&app, "a", 2).await;
    app.advance(hours(1)).await;
    assert_eq!(notes.sorted(), ["1", "2"]);
}

#[tokio::test]
async fn expired_occurrences_are_dropped() {
    let both = all((on_event::<i64>("a"), on_event::<i64>("b"))).within(minutes(10));
    let (app, _) = with(both.call(|(a, _)| note(a.payload().to_string())).id("pair")).await;
    emit(&app, "a", 1).await;
    app.advance(hours(25)).await;
    let lookup = pynenc::core::trigger_store::Lookup {
        trigger: "pair".into(),
        condition: 0,
        since: pynenc::core::Timestamp::default(),
    };
    assert_eq!(app.parts().triggers.put_occurrences(&[], &[lookup], 10).await.unwrap(), [vec![]]);
    let wait = pynenc::core::trigger_store::EventWait {
        waiter: pynenc::InvocationId::new(),
        name: "a".into(),
        key: None,
        since: pynenc::core::Timestamp::default(),
        after: 0,
    };
    assert_eq!(app.parts().triggers.await_events(&[wait]).await.unwrap(), [None]);
}
