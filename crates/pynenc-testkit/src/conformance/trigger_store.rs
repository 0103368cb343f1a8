//! The trials of [`TriggerStore`].

use std::time::Duration;

use bytes::Bytes;
use pynenc_core::trigger_store::{Event, NewEvent, Occurrence, TriggerDefinition, TriggerRun};
use pynenc_core::{InvocationId, Timestamp, TriggerStore};

use super::sample::{HOUR, SECOND};
use super::{Harness, suite, trials};

type Given = Harness<dyn TriggerStore>;

suite!($ TriggerStore, trigger_store, trigger_store_conformance);

trials! { pub Given:
    "a definition is listed until its length is over, and kept when it is renewed" => definitions_live_on_renewal,
    "a definition without a length stays" => definitions_may_stay,
    "what is undefined isn't listed" => undefined_is_gone,
    "events are read back in their order, behind a place, by name" => events_are_read_back,
    "an occurrence is kept once, however often it is reported, even after it was used up" => occurrences_are_kept_once,
    "a run fires once, of many tries at once too" => runs_fire_once,
    "a run uses its occurrences up" => runs_use_up,
    "a run whose occurrence was used up by another doesn't fire, and uses up nothing" => runs_do_not_share,
    "a fired run is listed until it is submitted" => runs_wait_for_submission,
    "a new schedule has no watermark" => schedules_start_unmarked,
    "of many moves from one place exactly one succeeds" => watermarks_move_once,
    "what is old is dropped, and what still waits stays" => old_is_dropped,
    "a purge leaves definitions in place" => purge_leaves_definitions,
}

fn definition(id: &str) -> TriggerDefinition {
    TriggerDefinition { id: id.into(), spec: Bytes::from(id.to_owned()), paused: false }
}

fn event(name: &str, payload: &'static str) -> NewEvent {
    NewEvent { name: name.into(), key: Some("key".into()), payload: Bytes::from_static(payload.as_bytes()) }
}

fn occurrence(id: &str, at: u64) -> Occurrence {
    let (trigger, context) = ("trigger".into(), Bytes::from(id.to_owned()));
    Occurrence { id: id.into(), trigger, condition: 1, context, at: Timestamp::from_millis(at) }
}

fn run(id: &str, consumes: &[&str]) -> TriggerRun {
    TriggerRun {
        id: id.into(),
        trigger: "trigger".into(),
        invocation: InvocationId::from_bytes([7; 16]),
        call: Bytes::from_static(b"call"),
        consumes: consumes.iter().map(|id| (*id).into()).collect(),
    }
}

impl Given {
    async fn defined(&self) -> Vec<TriggerDefinition> {
        self.definitions().await.expect("definitions")
    }

    async fn define_one(&self, id: &str, length: Option<Duration>) {
        self.define(&[definition(id)], length).await.expect("define");
    }

    async fn read(&self, name: &str, after: u64) -> Vec<Event> {
        self.events(name, after, 100).await.expect("events")
    }

    async fn report(&self, occurrences: &[Occurrence]) {
        self.put_occurrences(occurrences).await.expect("put_occurrences");
    }

    async fn waiting(&self) -> Vec<String> {
        let waiting = self.occurrences("trigger", 100).await.expect("occurrences");
        waiting.iter().map(|occurrence| occurrence.id.to_string()).collect()
    }

    async fn fires(&self, run: &TriggerRun) -> bool {
        self.fire(run).await.expect("fire")
    }

    async fn open_runs(&self, age: Duration) -> Vec<TriggerRun> {
        self.unsubmitted(age, 100).await.expect("unsubmitted")
    }
}

async fn definitions_live_on_renewal(store: Given) {
    store.define_one("b", Some(SECOND * 10)).await;
    store.define_one("a", Some(SECOND * 10)).await;
    assert_eq!(store.defined().await, [definition("a"), definition("b")]);
    store.advance(SECOND * 6).await;
    store.define_one("a", Some(SECOND * 10)).await;
    store.advance(SECOND * 6).await;
    assert_eq!(store.defined().await, [definition("a")]);
    store.advance(SECOND * 6).await;
    assert_eq!(store.defined().await, []);
}

async fn definitions_may_stay(store: Given) {
    store.define_one("a", None).await;
    store.advance(HOUR * 10_000).await;
    let changed = TriggerDefinition { paused: true, ..definition("a") };
    assert_eq!(store.defined().await, [definition("a")]);
    store.define(std::slice::from_ref(&changed), None).await.expect("define");
    assert_eq!(store.defined().await, [changed]);
}

async fn undefined_is_gone(store: Given) {
    store.define_one("a", None).await;
    store.define_one("b", Some(HOUR)).await;
    store.undefine(&["a".into(), "unknown".into()]).await.expect("undefine");
    assert_eq!(store.defined().await, [definition("b")]);
}

async fn events_are_read_back(store: Given) {
    let new = [event("a", "1"), event("b", "2"), event("a", "3")];
    let places = store.append_events(&new).await.expect("append_events");
    assert!(places.is_sorted() && places[0] > 0);
    let now = store.now().await;
    store.advance(SECOND).await;
    places_and_payloads(&store, &places).await;
    let first = &store.read("a", 0).await[0];
    assert_eq!((first.key.as_deref(), first.name.as_ref()), (Some("key"), "a"));
    assert!(first.at <= now, "an event has the time of its append");
}

async fn places_and_payloads(store: &Given, places: &[u64]) {
    let read: Vec<_> = store.read("a", 0).await.iter().map(|event| (event.sequence, event.payload.clone())).collect();
    assert_eq!(read, [(places[0], Bytes::from_static(b"1")), (places[2], Bytes::from_static(b"3"))]);
    assert_eq!(store.read("a", places[0]).await.len(), 1);
    assert_eq!(store.read("a", places[2]).await, []);
    assert_eq!(store.events("a", 0, 1).await.expect("events").len(), 1);
    assert_eq!(store.read("unknown", 0).await, []);
}

async fn occurrences_are_kept_once(store: Given) {
    store.report(&[occurrence("late", 2), occurrence("early", 1), occurrence("early", 1)]).await;
    store.report(&[occurrence("late", 2)]).await;
    assert_eq!(store.waiting().await, ["early", "late"]);
    assert_eq!(store.occurrences("trigger", 1).await.expect("occurrences"), [occurrence("early", 1)]);
    assert!(store.fires(&run("run", &["early"])).await);
    store.report(&[occurrence("early", 1)]).await;
    assert_eq!(store.waiting().await, ["late"]);
}

async fn runs_fire_once(store: Given) {
    store.report(&[occurrence("a", 1)]).await;
    let tries = (0..16).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.fires(&run("run", &["a"])).await })
    });
    let mut fired = 0;
    for attempt in tries.collect::<Vec<_>>() {
        fired += usize::from(attempt.await.expect("a try doesn't panic"));
    }
    assert_eq!(fired, 1);
    assert!(store.fires(&run("cron", &[])).await);
    assert!(!store.fires(&run("cron", &[])).await, "a run without occurrences fires once too");
}

async fn runs_use_up(store: Given) {
    store.report(&[occurrence("a", 1), occurrence("b", 2), occurrence("c", 3)]).await;
    assert!(store.fires(&run("run", &["a", "c"])).await);
    assert_eq!(store.waiting().await, ["b"]);
}

async fn runs_do_not_share(store: Given) {
    store.report(&[occurrence("a", 1), occurrence("b", 2)]).await;
    assert!(store.fires(&run("first", &["a"])).await);
    assert!(!store.fires(&run("second", &["b", "a"])).await);
    assert_eq!(store.waiting().await, ["b"]);
    assert_eq!(store.open_runs(Duration::ZERO).await, [run("first", &["a"])]);
}

async fn runs_wait_for_submission(store: Given) {
    assert!(store.fires(&run("z", &[])).await);
    store.advance(SECOND).await;
    assert!(store.fires(&run("a", &[])).await);
    assert_eq!(store.open_runs(Duration::ZERO).await, [run("z", &[]), run("a", &[])]);
    assert_eq!(store.open_runs(SECOND).await, [run("z", &[])]);
    store.submitted(&["z".into(), "unknown".into()]).await.expect("submitted");
    assert_eq!(store.open_runs(Duration::ZERO).await, [run("a", &[])]);
    assert!(!store.fires(&run("z", &[])).await, "what was submitted doesn't fire again");
}

async fn schedules_start_unmarked(store: Given) {
    assert_eq!(store.watermark("cron").await.expect("watermark"), None);
}

async fn watermarks_move_once(store: Given) {
    let [first, second] = [1, 2].map(Timestamp::from_millis);
    let tries = (0..16).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.move_watermark("cron", None, first).await.expect("move_watermark") })
    });
    let mut moved = 0;
    for attempt in tries.collect::<Vec<_>>() {
        moved += usize::from(attempt.await.expect("a move doesn't panic"));
    }
    assert_eq!(moved, 1);
    assert!(store.move_watermark("cron", Some(first), second).await.expect("move_watermark"));
    assert!(!store.move_watermark("cron", Some(first), second).await.expect("move_watermark"));
    assert_eq!(store.watermark("cron").await.expect("watermark"), Some(second));
    assert_eq!(store.watermark("other").await.expect("watermark"), None);
}

async fn old_is_dropped(store: Given) {
    store.append_events(&[event("a", "old")]).await.expect("append_events");
    store.report(&[occurrence("used", 1), occurrence("waits", 2)]).await;
    assert!(store.fires(&run("submitted", &["used"])).await && store.fires(&run("open", &[])).await);
    store.submitted(&["submitted".into()]).await.expect("submitted");
    store.advance(HOUR).await;
    store.append_events(&[event("a", "new")]).await.expect("append_events");
    let mut dropped = 0;
    for limit in [1, 100, 100] {
        let more = store.expire(HOUR, limit).await.expect("expire");
        assert!(more <= limit);
        dropped += more;
    }
    assert_eq!(dropped, 3, "an event, an occurrence, a run");
    let events = store.read("a", 0).await;
    assert_eq!(events.iter().map(|event| &event.payload[..]).collect::<Vec<_>>(), [b"new"]);
    assert_eq!(store.waiting().await, ["waits"]);
    assert_eq!(store.open_runs(Duration::ZERO).await, [run("open", &[])]);
}

async fn purge_leaves_definitions(store: Given) {
    store.define_one("a", None).await;
    store.append_events(&[event("a", "1")]).await.expect("append_events");
    store.report(&[occurrence("a", 1)]).await;
    assert!(store.fires(&run("run", &[])).await);
    let mark = Timestamp::from_millis(1);
    assert!(store.move_watermark("cron", None, mark).await.expect("move_watermark"));
    store.purge().await.expect("purge");
    assert_eq!(store.defined().await, [definition("a")]);
    assert_eq!((store.read("a", 0).await, store.waiting().await), (vec![], vec![]));
    assert_eq!(store.open_runs(Duration::ZERO).await, []);
    assert_eq!(store.watermark("cron").await.expect("watermark"), None);
}
