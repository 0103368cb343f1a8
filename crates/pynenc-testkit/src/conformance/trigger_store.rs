//! The trials of [`TriggerStore`].

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use pynenc_core::trigger_store::{
    Defined, Delivered, Delivery, Event, EventListener, EventWait, Lookup, NewEvent, News, Occurrence, RunOutcome,
    Slot, TriggerDefinition, TriggerRun,
};
use pynenc_core::{InvocationId, Timestamp, TriggerStore};

use super::sample::{HOUR, SECOND};
use super::{Harness, suite, trials};

type Given = Harness<dyn TriggerStore>;

suite!($ TriggerStore, trigger_store, trigger_store_conformance);

trials! { pub Given:
    "a definition is listed until its length is over, and kept when it is renewed" => definitions_live_on_renewal,
    "a definition without a length stays" => definitions_may_stay,
    "what is undefined isn't listed" => undefined_is_gone,
    "a paused trigger stays paused until it is resumed, even when it is defined again" => pauses_last,
    "events are read back in their order, behind a place, by name" => events_are_read_back,
    "an event is offered once to each listener, and again when it isn't done in time" => events_are_offered_again,
    "the first listener of a name is offered what the log has kept, a later one what nobody was offered yet" => late_listeners_hear_what_is_new,
    "listeners that come together are offered the same" => listeners_may_come_together,
    "an event that is done isn't offered again" => done_events_are_gone,
    "a wait is given the first event of its name and key, from its time on and behind its place" => waits_find_the_first,
    "who waits for an event is told of once it is appended, and again when it isn't done in time" => waiters_are_told_of,
    "an event of another name or key wakes nobody" => others_wake_nobody,
    "who is done with waiting isn't told of" => done_waiters_sleep_on,
    "an occurrence is kept once, however often it is reported, even after it was used up" => occurrences_are_kept_once,
    "occurrences are found by their condition, from a time on, oldest first" => occurrences_are_found,
    "a run fires once, of many tries at once too" => runs_fire_once,
    "a run uses its occurrences up" => runs_use_up,
    "a run whose occurrence was used up by another doesn't fire, and uses up nothing" => runs_do_not_share,
    "a run of a slot moves the watermark, and doesn't fire if that stands elsewhere" => slots_fire_once,
    "a run of a slot that lies ahead doesn't fire" => slots_are_not_early,
    "a fired call is listed until it was seen to" => calls_wait_for_delivery,
    "the runs of a trigger are listed with what became of them, newest first" => runs_are_listed,
    "a new schedule is looked at from the present on" => schedules_start_now,
    "of many moves from one place exactly one succeeds" => watermarks_move_once,
    "a watermark isn't moved beyond the present" => watermarks_stay_behind,
    "appended events and changed definitions are told" => news_is_told,
    "what is old is dropped, and what still waits stays" => old_is_dropped,
    "an occurrence that waits is dropped when nobody will ask for it" => unasked_is_dropped,
    "a purge leaves definitions in place" => purge_leaves_definitions,
}

fn definition(id: &str) -> TriggerDefinition {
    TriggerDefinition { id: id.into(), spec: Bytes::from(id.to_owned()) }
}

fn passing(id: &str) -> Defined {
    Defined { definition: definition(id), paused: false, stays: false }
}

fn staying(id: &str) -> Defined {
    Defined { stays: true, ..passing(id) }
}

fn event(name: &str, payload: &'static str) -> NewEvent {
    let payload = Bytes::from_static(payload.as_bytes());
    NewEvent { name: name.into(), key: Some("key".into()), payload, serializer: "JsonSerializer".into() }
}

fn listener(id: &str, name: &str) -> EventListener {
    EventListener { id: id.into(), name: name.into() }
}

fn wait(waiter: InvocationId, key: Option<&str>) -> EventWait {
    let since = Timestamp::from_millis(0);
    EventWait { waiter, name: "name".into(), key: key.map(Into::into), since, after: 0 }
}

fn occurrence(id: &str, at: u64) -> Occurrence {
    let (trigger, context) = ("trigger".into(), Bytes::from(id.to_owned()));
    let [at, until] = [at, u64::from(u32::MAX) * 1000].map(Timestamp::from_millis);
    Occurrence { id: id.into(), trigger, condition: 1, context, at, until }
}

fn outcome() -> RunOutcome {
    RunOutcome::Call { invocation: InvocationId::from_bytes([7; 16]), call: Bytes::from_static(b"call") }
}

fn run(id: &str, consumes: &[&str]) -> TriggerRun {
    TriggerRun {
        id: id.into(),
        trigger: "trigger".into(),
        cause: "a trial".into(),
        outcome: outcome(),
        consumes: consumes.iter().map(|id| (*id).into()).collect(),
        slot: None,
    }
}

fn slot_run(id: &str, slot: &Slot) -> TriggerRun {
    TriggerRun { slot: Some(slot.clone()), ..run(id, &[]) }
}

impl Given {
    async fn defined(&self) -> Vec<Defined> {
        self.definitions().await.expect("definitions")
    }

    async fn define_one(&self, id: &str, length: Option<Duration>) {
        self.define(&[definition(id)], length).await.expect("define");
    }

    async fn append(&self, events: &[NewEvent]) -> Vec<u64> {
        self.append_events(events).await.expect("append_events")
    }

    async fn read(&self, name: &str, after: u64) -> Vec<Event> {
        self.events(name, after, 100).await.expect("events")
    }

    async fn offered(&self, id: &str, name: &str, limit: usize) -> Vec<u64> {
        let taken = self.take_events(&[listener(id, name)], limit, SECOND * 5).await.expect("take_events");
        assert!(taken.iter().all(|offered| *offered.listener == *id && *offered.event.name == *name));
        taken.iter().map(|offered| offered.event.sequence).collect()
    }

    /// The place of the event that a wait is given.
    async fn awaited(&self, wait: EventWait) -> Option<u64> {
        self.await_events(&[wait]).await.expect("await_events").remove(0).map(|event| event.sequence)
    }

    async fn told(&self) -> Vec<InvocationId> {
        let mut told = self.awoken(100, SECOND * 5).await.expect("awoken");
        told.sort_unstable();
        told
    }

    async fn report(&self, occurrences: &[Occurrence]) {
        self.put_occurrences(occurrences).await.expect("put_occurrences");
    }

    async fn waiting(&self) -> Vec<String> {
        self.waiting_since(1, 0, 100).await
    }

    async fn waiting_since(&self, condition: u32, since: u64, limit: usize) -> Vec<String> {
        let lookup = Lookup { trigger: "trigger".into(), condition, since: Timestamp::from_millis(since) };
        let found = self.occurrences(&[lookup], limit).await.expect("occurrences");
        found.iter().flatten().map(|occurrence| occurrence.id.to_string()).collect()
    }

    async fn fires(&self, run: &TriggerRun) -> bool {
        let fired = self.fire(std::slice::from_ref(run)).await.expect("fire");
        assert_eq!(fired.len(), 1);
        fired[0]
    }

    async fn open_runs(&self, age: Duration) -> Vec<TriggerRun> {
        self.undelivered(age, 100).await.expect("undelivered")
    }

    async fn see_to(&self, run: &str, refused: Option<&str>) {
        let delivered = Delivered { run: run.into(), refused: refused.map(Into::into) };
        self.delivered(&[delivered]).await.expect("delivered");
    }

    async fn mark(&self, schedule: &str) -> Timestamp {
        self.watermarks(&[schedule.into()]).await.expect("watermarks").marks[0]
    }

    /// The slot that ends now and begins where the schedule was first looked at, ten seconds ago.
    async fn due_slot(&self, schedule: &str) -> Slot {
        let from = self.mark(schedule).await;
        self.advance(SECOND * 10).await;
        Slot { schedule: schedule.into(), from, to: from + SECOND * 9 }
    }
}

async fn definitions_live_on_renewal(store: Given) {
    store.define_one("b", Some(SECOND * 10)).await;
    store.define_one("a", Some(SECOND * 10)).await;
    assert_eq!(store.defined().await, [passing("a"), passing("b")]);
    store.advance(SECOND * 6).await;
    store.define_one("a", Some(SECOND * 10)).await;
    store.advance(SECOND * 6).await;
    assert_eq!(store.defined().await, [passing("a")]);
    store.advance(SECOND * 6).await;
    assert_eq!(store.defined().await, []);
}

async fn definitions_may_stay(store: Given) {
    store.define_one("a", None).await;
    store.advance(HOUR * 10_000).await;
    let changed = TriggerDefinition { spec: Bytes::from_static(b"changed"), ..definition("a") };
    assert_eq!(store.defined().await, [staying("a")]);
    store.define(std::slice::from_ref(&changed), None).await.expect("define");
    assert_eq!(store.defined().await, [Defined { definition: changed, ..staying("a") }]);
}

async fn undefined_is_gone(store: Given) {
    store.define_one("a", None).await;
    store.define_one("b", Some(HOUR)).await;
    store.undefine(&["a".into(), "unknown".into()]).await.expect("undefine");
    assert_eq!(store.defined().await, [passing("b")]);
}

async fn pauses_last(store: Given) {
    store.define_one("a", Some(SECOND * 10)).await;
    store.pause("a", true).await.expect("pause");
    assert_eq!(store.defined().await, [Defined { paused: true, ..passing("a") }]);
    store.advance(SECOND * 20).await;
    store.define_one("a", Some(SECOND * 10)).await;
    assert_eq!(store.defined().await, [Defined { paused: true, ..passing("a") }]);
    store.pause("a", false).await.expect("pause");
    assert_eq!(store.defined().await, [passing("a")]);
    store.pause("a", true).await.expect("pause");
    store.undefine(&["a".into()]).await.expect("undefine");
    store.define_one("a", Some(SECOND * 10)).await;
    assert_eq!(store.defined().await, [passing("a")], "what is undefined leaves no pause");
}

async fn events_are_read_back(store: Given) {
    let places = store.append(&[event("a", "1"), event("b", "2"), event("a", "3")]).await;
    assert!(places.is_sorted() && places[0] > 0);
    let now = store.now().await;
    store.advance(SECOND).await;
    places_and_payloads(&store, &places).await;
    let first = &store.read("a", 0).await[0];
    assert_eq!((first.key.as_deref(), &*first.name, &*first.serializer), (Some("key"), "a", "JsonSerializer"));
    assert!(first.at <= now, "an event has the time of its append");
    store.append(&[NewEvent { key: None, ..event("c", "4") }]).await;
    assert_eq!(store.read("c", 0).await[0].key, None);
}

async fn places_and_payloads(store: &Given, places: &[u64]) {
    let read: Vec<_> = store.read("a", 0).await.iter().map(|event| (event.sequence, event.payload.clone())).collect();
    assert_eq!(read, [(places[0], Bytes::from_static(b"1")), (places[2], Bytes::from_static(b"3"))]);
    assert_eq!(store.read("a", places[0]).await.len(), 1);
    assert_eq!(store.read("a", places[2]).await, []);
    assert_eq!(store.events("a", 0, 1).await.expect("events").len(), 1);
    assert_eq!(store.read("unknown", 0).await, []);
}

async fn events_are_offered_again(store: Given) {
    let [first, second] = [store.append(&[event("a", "1")]).await[0], store.append(&[event("a", "2")]).await[0]];
    store.append(&[event("b", "3")]).await;
    assert_eq!(store.offered("x", "a", 1).await, [first]);
    assert_eq!(store.offered("x", "a", 10).await, [second]);
    assert_eq!(store.offered("x", "a", 10).await, [0; 0]);
    store.advance(SECOND * 4).await;
    let third = store.append(&[event("a", "4")]).await[0];
    assert_eq!(store.offered("x", "a", 10).await, [third]);
    store.advance(SECOND).await;
    assert_eq!(store.offered("x", "a", 10).await, [first, second]);
    store.advance(SECOND * 5).await;
    let both = [listener("x", "a"), listener("y", "b")];
    let taken = store.take_events(&both, 10, SECOND * 5).await.expect("take_events");
    let taken: Vec<_> = taken.iter().map(|offered| (&*offered.listener, &offered.event.payload[..])).collect();
    assert_eq!(taken.len(), 4);
    assert_eq!(taken[3], ("y", &b"3"[..]));
}

async fn late_listeners_hear_what_is_new(store: Given) {
    let old = store.append(&[event("a", "1"), event("a", "2")]).await;
    assert_eq!(store.offered("first", "a", 10).await, old);
    let new = store.append(&[event("a", "3")]).await;
    assert_eq!(store.offered("second", "a", 10).await, new);
    assert_eq!(store.offered("first", "a", 10).await, new);
    let last = store.append(&[event("a", "4")]).await;
    assert_eq!(store.offered("second", "a", 10).await, last);
}

async fn listeners_may_come_together(store: Given) {
    let places = store.append(&[event("a", "1"), event("a", "2"), event("a", "3")]).await;
    let both = [listener("x", "a"), listener("y", "a")];
    for _ in 0..2 {
        let taken = store.take_events(&both, 2, HOUR).await.expect("take_events");
        let offered = |id: &'static str| {
            let mine = taken.iter().filter(move |offered| &*offered.listener == id);
            mine.map(|offered| offered.event.sequence)
        };
        assert!(offered("x").eq(offered("y")) && offered("x").all(|sequence| places.contains(&sequence)));
        assert!(!taken.is_empty() && taken.len() <= 4, "a limit is one for each");
    }
    assert_eq!(store.take_events(&both, 2, HOUR).await.expect("take_events"), []);
}

async fn done_events_are_gone(store: Given) {
    let places = store.append(&[event("a", "1"), event("a", "2")]).await;
    assert_eq!(store.offered("x", "a", 10).await, places);
    store.events_done("x", &[places[0], u64::MAX]).await.expect("events_done");
    store.events_done("unknown", &places).await.expect("events_done");
    store.advance(SECOND * 5).await;
    assert_eq!(store.offered("x", "a", 10).await, places[1..]);
}

async fn waits_find_the_first(store: Given) {
    let waiter = InvocationId::new();
    let plain = || NewEvent { key: None, ..event("name", "1") };
    let places = store.append(&[plain(), event("other", "2"), event("name", "3"), event("name", "4")]).await;
    let at = store.read("name", places[0]).await[0].at;
    store.advance(HOUR).await;
    let later = store.append(&[event("name", "5"), plain()]).await;
    let (any, keyed) = (wait(waiter, None), wait(waiter, Some("key")));
    assert_eq!(store.awaited(any.clone()).await, Some(places[0]));
    assert_eq!(store.awaited(keyed.clone()).await, Some(places[2]));
    assert_eq!(store.awaited(EventWait { after: places[2], ..keyed.clone() }).await, Some(places[3]));
    assert_eq!(store.awaited(EventWait { since: at, ..keyed.clone() }).await, Some(places[2]));
    assert_eq!(store.awaited(EventWait { since: at + SECOND, ..keyed.clone() }).await, Some(later[0]));
    assert_eq!(store.awaited(EventWait { since: at + SECOND, after: later[0], ..any }).await, Some(later[1]));
    let found = store.await_events(&[wait(waiter, Some("none")), keyed.clone()]).await.expect("await_events");
    assert_eq!(found[0], None);
    assert_eq!(found[1].as_ref().map(|event| &event.payload[..]), Some(&b"3"[..]));
    assert_eq!(store.expire(SECOND, 100).await.expect("expire"), 4);
    assert_eq!(store.awaited(keyed).await, Some(later[0]), "what was dropped isn't found");
}

async fn waiters_are_told_of(store: Given) {
    let mut waiters = [InvocationId::new(), InvocationId::new(), InvocationId::new()];
    waiters.sort_unstable();
    for (waiter, key) in waiters.into_iter().zip([None, Some("key"), Some("key")]) {
        assert_eq!(store.awaited(wait(waiter, key)).await, None);
        assert_eq!(store.awaited(wait(waiter, key)).await, None, "a wait may be repeated");
    }
    assert_eq!(store.told().await, []);
    store.append(&[event("name", "1"), event("name", "2")]).await;
    assert_eq!(store.told().await, waiters);
    assert_eq!(store.told().await, []);
    store.end_waits(&waiters[..1]).await.expect("end_waits");
    store.advance(SECOND * 5).await;
    assert_eq!(store.told().await, waiters[1..]);
    store.end_waits(&waiters).await.expect("end_waits");
    store.advance(SECOND * 5).await;
    assert_eq!(store.told().await, []);
}

async fn others_wake_nobody(store: Given) {
    let (one, other) = (InvocationId::new(), InvocationId::new());
    assert_eq!(store.awaited(wait(one, Some("mine"))).await, None);
    assert_eq!(store.awaited(wait(other, Some(""))).await, None);
    store.append(&[event("name", "1"), event("other", "2"), NewEvent { key: None, ..event("name", "3") }]).await;
    assert_eq!(store.told().await, []);
    store.append(&[NewEvent { key: Some("".into()), ..event("name", "4") }]).await;
    assert_eq!(store.told().await, [other]);
}

async fn done_waiters_sleep_on(store: Given) {
    let (one, other) = (InvocationId::new(), InvocationId::new());
    for waiter in [one, other] {
        assert_eq!(store.awaited(wait(waiter, None)).await, None);
        assert_eq!(store.awaited(wait(waiter, Some("key"))).await, None);
    }
    store.end_waits(&[one, InvocationId::new()]).await.expect("end_waits");
    store.append(&[event("name", "1")]).await;
    assert_eq!(store.told().await, [other]);
}

async fn occurrences_are_kept_once(store: Given) {
    store.report(&[occurrence("late", 2), occurrence("early", 1), occurrence("early", 1)]).await;
    store.report(&[occurrence("late", 2)]).await;
    assert_eq!(store.waiting().await, ["early", "late"]);
    assert!(store.fires(&run("run", &["early"])).await);
    store.report(&[occurrence("early", 1)]).await;
    assert_eq!(store.waiting().await, ["late"]);
}

async fn occurrences_are_found(store: Given) {
    let other = Occurrence { condition: 2, ..occurrence("other", 1) };
    store.report(&[occurrence("c", 3), occurrence("a", 1), other.clone(), occurrence("b", 2)]).await;
    assert_eq!(store.waiting_since(1, 0, 100).await, ["a", "b", "c"]);
    assert_eq!(store.waiting_since(1, 0, 1).await, ["a"]);
    assert_eq!(store.waiting_since(1, 2, 100).await, ["b", "c"]);
    let lookup =
        |condition, since| Lookup { trigger: "trigger".into(), condition, since: Timestamp::from_millis(since) };
    let lookups = [lookup(2, 0), lookup(1, 3), lookup(2, 2)];
    let found = store.occurrences(&lookups, 100).await.expect("occurrences");
    assert_eq!(found, [vec![other], vec![occurrence("c", 3)], vec![]]);
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
    let batch = [run("event", &[]), run("run", &[]), run("event", &[]), run("next", &[])];
    assert_eq!(store.fire(&batch).await.expect("fire"), [true, false, false, true]);
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

async fn slots_fire_once(store: Given) {
    let slot = store.due_slot("cron").await;
    let tries = (0..16).map(|n| {
        let (store, run) = (store.clone(), slot_run(&format!("run {n}"), &slot));
        tokio::spawn(async move { store.fires(&run).await })
    });
    let mut fired = 0;
    for attempt in tries.collect::<Vec<_>>() {
        fired += usize::from(attempt.await.expect("a try doesn't panic"));
    }
    assert_eq!((fired, store.mark("cron").await), (1, slot.to));
    let next = Slot { from: slot.to, to: slot.to + SECOND, ..slot };
    assert!(store.fires(&slot_run("next", &next)).await);
    let unknown = Slot { schedule: "unknown".into(), ..next };
    assert!(!store.fires(&slot_run("unknown", &unknown)).await);
}

async fn slots_are_not_early(store: Given) {
    let from = store.mark("cron").await;
    let slot = Slot { schedule: "cron".into(), from, to: from + HOUR };
    assert!(!store.fires(&slot_run("run", &slot)).await);
    assert_eq!(store.mark("cron").await, from);
    store.advance(HOUR).await;
    assert!(store.fires(&slot_run("run", &slot)).await);
}

async fn calls_wait_for_delivery(store: Given) {
    assert!(store.fires(&run("z", &[])).await);
    store.advance(SECOND).await;
    assert!(store.fires(&run("a", &[])).await);
    let failed = TriggerRun { outcome: RunOutcome::Failed("no call".into()), ..run("failed", &[]) };
    assert!(store.fires(&failed).await);
    assert_eq!(store.open_runs(Duration::ZERO).await, [run("z", &[]), run("a", &[])]);
    assert_eq!(store.open_runs(SECOND).await, [run("z", &[])]);
    store.see_to("z", None).await;
    store.see_to("unknown", None).await;
    assert_eq!(store.open_runs(Duration::ZERO).await, [run("a", &[])]);
    assert!(!store.fires(&run("z", &[])).await, "what was seen to doesn't fire again");
}

async fn runs_are_listed(store: Given) {
    let failed = TriggerRun { outcome: RunOutcome::Failed("no call".into()), ..run("failed", &[]) };
    let runs = [run("sent", &[]), run("open", &[]), failed, run("refused", &[])];
    for run in &runs {
        assert!(store.fires(run).await);
        store.advance(SECOND).await;
    }
    store.see_to("sent", None).await;
    store.see_to("refused", Some("unknown task")).await;
    let listed = store.runs("trigger", 100).await.expect("runs");
    assert!(listed.windows(2).all(|pair| pair[0].at > pair[1].at));
    let listed: Vec<_> = listed.into_iter().map(|fired| (fired.run, fired.delivery)).collect();
    let deliveries = [Delivery::Submitted, Delivery::Open, Delivery::Open, Delivery::Refused("unknown task".into())];
    let expected: Vec<_> = runs.into_iter().zip(deliveries).rev().collect();
    assert_eq!(listed, expected);
    assert_eq!(store.runs("trigger", 2).await.expect("runs").len(), 2);
    assert_eq!(store.runs("other", 2).await.expect("runs"), []);
}

async fn schedules_start_now(store: Given) {
    let before = store.now().await;
    let start = store.mark("cron").await;
    let after = store.now().await;
    assert!(before <= start && start <= after);
    store.advance(HOUR).await;
    let read = store.watermarks(&["other".into(), "cron".into()]).await.expect("watermarks");
    assert_eq!(read.marks, [read.now, start]);
    assert!(read.now >= start + HOUR);
}

async fn watermarks_move_once(store: Given) {
    let slot = store.due_slot("cron").await;
    let tries = (0..16).map(|_| {
        let (store, slot) = (store.clone(), slot.clone());
        tokio::spawn(async move { store.move_watermark(&slot).await.expect("move_watermark") })
    });
    let mut moved = 0;
    for attempt in tries.collect::<Vec<_>>() {
        moved += usize::from(attempt.await.expect("a move doesn't panic"));
    }
    assert_eq!((moved, store.mark("cron").await), (1, slot.to));
}

async fn watermarks_stay_behind(store: Given) {
    let from = store.mark("cron").await;
    let slot = Slot { schedule: "cron".into(), from, to: from + HOUR };
    assert!(!store.move_watermark(&slot).await.expect("move_watermark"));
    assert_eq!(store.mark("cron").await, from);
}

async fn news_is_told(store: Given) {
    let mut news = store.news().await.expect("news");
    assert_eq!(news.next().now_or_never(), None);
    store.append(&[event("a", "1")]).await;
    assert_eq!(news.next().await, Some(News::Events));
    store.define_one("a", Some(HOUR)).await;
    assert_eq!(news.next().await, Some(News::Definitions));
    store.pause("a", true).await.expect("pause");
    assert_eq!(news.next().await, Some(News::Definitions));
    store.undefine(&["a".into()]).await.expect("undefine");
    assert_eq!(news.next().await, Some(News::Definitions));
    store.append(&[event("a", "2")]).await;
    assert_eq!(news.next().await, Some(News::Events));
}

async fn old_is_dropped(store: Given) {
    store.append(&[event("a", "old")]).await;
    store.report(&[occurrence("used", 1), occurrence("waits", 2)]).await;
    assert!(store.fires(&run("submitted", &["used"])).await && store.fires(&run("open", &[])).await);
    store.see_to("submitted", None).await;
    store.advance(HOUR).await;
    store.append(&[event("a", "new")]).await;
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
    assert_eq!(store.runs("trigger", 100).await.expect("runs").len(), 1);
}

async fn unasked_is_dropped(store: Given) {
    let now = store.now().await;
    let kept = occurrence("kept", 1);
    let short = Occurrence { until: now + SECOND * 10, ..occurrence("short", 2) };
    store.report(&[kept, short]).await;
    assert_eq!(store.expire(HOUR, 100).await.expect("expire"), 0);
    store.advance(SECOND * 10).await;
    assert_eq!(store.expire(HOUR, 100).await.expect("expire"), 1);
    assert_eq!(store.waiting().await, ["kept"]);
}

async fn purge_leaves_definitions(store: Given) {
    store.define_one("a", None).await;
    let place = store.append(&[event("a", "1")]).await[0];
    store.report(&[occurrence("a", 1)]).await;
    assert!(store.fires(&run("run", &[])).await);
    let slot = store.due_slot("cron").await;
    store.purge().await.expect("purge");
    assert_eq!(store.defined().await, [staying("a")]);
    assert_eq!((store.read("a", 0).await, store.waiting().await), (vec![], vec![]));
    assert_eq!(
        (store.open_runs(Duration::ZERO).await, store.runs("trigger", 9).await.expect("runs")),
        (vec![], vec![])
    );
    assert!(!store.fires(&slot_run("slot", &slot)).await, "a schedule starts anew");
    let next = store.append(&[event("a", "2")]).await;
    assert!(next[0] > place, "a place never means another event");
    assert_eq!(store.offered("x", "a", 10).await, next);
}
