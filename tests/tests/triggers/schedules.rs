//! Tests of schedules: their slots, and missed slots.

use pynenc::core::Timestamp;
use pynenc::core::trigger_store::{FiredRun, RunOutcome};
use pynenc::metrics::MetricsExt;
use pynenc::prelude::*;
use pynenc::triggers::Trigger;

use crate::stores::{Notes, Stores};

#[task]
async fn slot(#[inject] notes: State<Notes>, at: u64) {
    notes.add(format!("{at}"));
}

#[task(triggers = on_cron("*/30 * * * *"))]
async fn half_hour(#[inject] notes: State<Notes>) {
    notes.add("half hour");
}

fn each_minute(misfire: Misfire) -> Trigger {
    on_cron("* * * * *").misfire(misfire).call(|cx| slot(cx.slot().as_millis())).id("minute")
}

async fn app(stores: &Stores, notes: &Notes, trigger: Trigger) -> Pynenc {
    stores.builder().tasks(tasks![slot]).state(notes.clone()).trigger(trigger).build().await.unwrap()
}

/// Moves time to the next whole minute and returns it.
async fn whole_minute(app: &Pynenc) -> u64 {
    let now = app.parts().clock.now().as_millis();
    let start = now.div_ceil(60_000) * 60_000;
    app.parts().clock.sleep_until(Timestamp::from_millis(start)).await;
    start
}

fn minutes_from(start: u64, numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(|number| (start + number * 60_000).to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn every_slot_fires_and_a_new_schedule_waits_for_its_next_slot() {
    let (stores, notes) = (Stores::new(), Notes::default());
    let app = app(&stores, &notes, each_minute(Misfire::One)).await;
    let start = whole_minute(&app).await;
    tokio::time::sleep(secs(30)).await;
    let runner = app.start_runner().await.unwrap();
    tokio::time::sleep(minutes(10)).await;
    assert_eq!(notes.sorted(), minutes_from(start, 1..=10), "the current minute doesn't fire");
    runner.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_slot_fires_at_its_time_and_doesnt_drift() {
    let (stores, notes) = (Stores::new(), Notes::default());
    let app = app(&stores, &notes, each_minute(Misfire::One)).await;
    let runner = app.start_runner().await.unwrap();
    tokio::time::sleep(hours(3)).await;
    for FiredRun { run, at, .. } in app.triggers().runs("minute", 500).await.unwrap() {
        let slot = run.slot.unwrap().to;
        assert!(at >= slot && at.since(slot) < millis(10), "{slot:?} was fired at {at:?}");
    }
    assert_eq!(notes.sorted().len(), 180);
    runner.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_attribute_can_be_a_schedule() {
    let (app, notes) = crate::stores::app(|builder| builder.tasks(tasks![half_hour])).await;
    app.advance(hours(3)).await;
    assert_eq!(notes.sorted(), ["half hour"; 6]);
}

#[tokio::test(start_paused = true)]
async fn many_runners_fire_a_slot_once() {
    let (stores, notes) = (Stores::new(), Notes::default());
    let mut runners = Vec::new();
    for _ in 0..8 {
        let app = app(&stores, &notes, each_minute(Misfire::One)).await;
        runners.push(app.start_runner().await.unwrap());
    }
    tokio::time::sleep(minutes(20)).await;
    let slots = notes.sorted();
    assert_eq!(slots.len(), 20);
    assert!(slots.windows(2).all(|pair| pair[0] < pair[1]), "{slots:?}");
    for runner in runners {
        runner.shutdown().await.unwrap();
    }
}

/// Runs a schedule with a downtime. Returns the start, the notes, and the texts about missed slots.
async fn after_downtime(misfire: Misfire, downtime: std::time::Duration) -> (u64, Vec<String>, Vec<String>) {
    let (stores, notes) = (Stores::new(), Notes::default());
    let app = app(&stores, &notes, each_minute(misfire)).await;
    let start = whole_minute(&app).await;
    let runner = app.start_runner().await.unwrap();
    tokio::time::sleep(secs(90)).await;
    runner.shutdown().await.unwrap();
    assert_eq!(notes.sorted(), minutes_from(start, [1]));
    tokio::time::sleep(downtime).await;
    let runner = app.start_runner().await.unwrap();
    tokio::time::sleep(secs(10)).await;
    runner.shutdown().await.unwrap();
    let missed =
        app.triggers().runs("minute", 100).await.unwrap().into_iter().filter_map(|fired| match fired.run.outcome {
            RunOutcome::Missed(text) => Some(text.into_string()),
            RunOutcome::Call { .. } | RunOutcome::Failed(_) => None,
        });
    (start, notes.sorted(), missed.collect())
}

#[tokio::test(start_paused = true)]
async fn missed_slots_make_one_run_by_default() {
    let (start, notes, missed) = after_downtime(Misfire::One, minutes(10)).await;
    assert_eq!(notes, minutes_from(start, [1, 11]));
    assert!(missed.len() == 1 && missed[0].starts_with("9 slots between"), "{missed:?}");
}

#[tokio::test(start_paused = true)]
async fn missed_slots_can_fire_within_a_window() {
    let (start, notes, missed) = after_downtime(Misfire::All(hours(1)), minutes(10)).await;
    assert_eq!((notes, missed.len()), (minutes_from(start, 1..=11), 0));
    let (start, notes, missed) = after_downtime(Misfire::All(minutes(5)), minutes(10)).await;
    assert_eq!(notes, minutes_from(start, [1, 7, 8, 9, 10, 11]));
    assert!(missed.len() == 1 && missed[0].starts_with("5 slots between"), "{missed:?}");
}

#[tokio::test(start_paused = true)]
async fn missed_slots_can_be_skipped() {
    let (start, notes, missed) = after_downtime(Misfire::Skip, minutes(10)).await;
    assert_eq!(notes, minutes_from(start, [1]));
    assert!(missed.len() == 1 && missed[0].starts_with("10 slots between"), "{missed:?}");
}

#[tokio::test(start_paused = true)]
async fn metrics_count_firings_missed_slots_and_reaction_times() {
    let (stores, notes) = (Stores::new(), Notes::default());
    let builder = stores.builder().tasks(tasks![slot]).state(notes.clone()).set("metrics.record", true);
    let app = builder.trigger(each_minute(Misfire::One)).build().await.unwrap();
    whole_minute(&app).await;
    app.start_runner().await.unwrap().shutdown().await.unwrap();
    tokio::time::sleep(secs(330)).await;
    let runner = app.start_runner().await.unwrap();
    tokio::time::sleep(secs(60)).await;
    runner.shutdown().await.unwrap();
    let text = app.metrics_text().await.unwrap();
    let value = |name: &str, label: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
    };
    let fired = value("pynenc_trigger_firings_total", "::slot\"").unwrap_or_else(|| panic!("{text}"));
    let missed = value("pynenc_trigger_missed_slots_total", "::slot\"").unwrap_or_else(|| panic!("{text}"));
    assert_eq!((fired as usize, missed), (notes.sorted().len(), 4), "{text}");
    assert_eq!(value("pynenc_trigger_reaction_seconds_count", ""), Some(fired));
    assert_eq!(
        value("pynenc_trigger_reaction_seconds_bucket", "le=\"1\""),
        Some(fired - 1),
        "the last missed slot fired late"
    );
}

#[tokio::test(start_paused = true)]
async fn a_changed_schedule_starts_anew() {
    let (stores, notes) = (Stores::new(), Notes::default());
    let first = app(&stores, &notes, each_minute(Misfire::One)).await;
    let start = whole_minute(&first).await;
    let runner = first.start_runner().await.unwrap();
    tokio::time::sleep(secs(90)).await;
    runner.shutdown().await.unwrap();
    let changed = on_cron("*/5 * * * *").call(|cx| slot(cx.slot().as_millis())).id("minute");
    let second = app(&stores, &notes, changed).await;
    tokio::time::sleep(minutes(20)).await;
    let runner = second.start_runner().await.unwrap();
    tokio::time::sleep(minutes(5)).await;
    runner.shutdown().await.unwrap();
    let slots = notes.sorted();
    assert_eq!(slots.len(), 2, "slots before the change don't fire");
    assert!(slots[1].parse::<u64>().unwrap() > start + 20 * 60_000);
    // With the first schedule again, slots that have already fired don't fire again and don't block later ones.
    let third = app(&stores, &notes, each_minute(Misfire::All(hours(2)))).await;
    let runner = third.start_runner().await.unwrap();
    tokio::time::sleep(secs(61)).await;
    runner.shutdown().await.unwrap();
    let slots = notes.sorted();
    assert!(slots.len() > 20, "{slots:?}");
    assert!(slots.windows(2).all(|pair| pair[0] < pair[1]), "{slots:?}");
}
