//! Trials of [`TriggerStore`].

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use pynenc_core::trigger_store::{
    Delivered, Delivery, Event, EventListener, EventWait, EventsTake, FiredRun, Firing, HandledEvent, Lookup, NewEvent,
    Notification, Occurrence, ReadyTake, RunOutcome, ScheduleSlot, StoredTrigger, TriggerDefinition, TriggerRun,
    TriggerRuns, TriggerUpdate,
};
use pynenc_core::{InvocationId, Timestamp, TriggerStore};

use super::sample::{HOUR, SECOND};
use super::{Harness, suite, trials};

type Given = Harness<dyn TriggerStore>;

suite!($ TriggerStore, trigger_store, trigger_store_conformance);

trials! { pub Given:
    "a definition lives for its length, and a renewal extends it" => definitions_live_on_renewal,
    "a definition without a length stays" => definitions_may_stay,
    "a removed definition isn't listed" => removed_is_gone,
    "a paused trigger stays paused until it is resumed, even when it is defined again" => pauses_last,
    "events are offered in the order of their appends, by name, as they were appended" => events_are_read_back,
    "an event is offered once to each listener, and again when it isn't acknowledged in time" => events_are_offered_again,
    "the first listener of a name is offered all kept events, a later one those that nobody was offered yet" => late_listeners_get_new_events,
    "listeners of one request are offered the same events" => listeners_of_one_request,
    "an acknowledged event isn't offered again" => acknowledged_events_are_gone,
    "a take acknowledges events and offers others in the same call" => take_events_acknowledges_and_offers,
    "a wait gets the first event of its name and key, from its time on and behind its position" => waits_find_the_first,
    "an event of another name or key ends no wait" => other_events_end_no_wait,
    "a waiter is offered once its event is appended, and again when its waits aren't ended in time" => waiters_are_offered,
    "a waiter whose waits were ended isn't offered" => ended_waits_are_gone,
    "a take ends waits and offers other waiters in the same call" => take_ready_ends_and_offers,
    "an occurrence is stored once, however often it is reported, even after it was consumed" => occurrences_are_stored_once,
    "occurrences are found by their condition, from a time on, the oldest first" => occurrences_are_found,
    "a lookup sees the occurrences that are stored in the same call" => lookups_see_the_same_call,
    "a run fires once, also if many try at once" => runs_fire_once,
    "a run consumes its occurrences" => runs_consume,
    "a run whose occurrence was consumed by another doesn't fire, and consumes nothing" => runs_do_not_share,
    "a run of a slot moves the watermark, and doesn't fire if the watermark is elsewhere" => slots_fire_once,
    "a run of a future slot doesn't fire" => future_slots_do_not_fire,
    "a skip moves the watermark and stores no run" => skips_store_no_run,
    "of many skips of one slot exactly one succeeds" => slots_are_skipped_once,
    "a future slot can't be skipped" => future_slots_are_not_skipped,
    "a run is undelivered until its delivery is reported" => calls_wait_for_delivery,
    "the runs of a trigger are listed with the states of their calls, the newest first" => runs_are_listed,
    "the watermark of a new schedule is the present" => schedules_start_now,
    "appended events and changed definitions are announced" => changes_are_announced,
    "old items are deleted, and items that still wait stay" => old_items_are_deleted,
    "a waiting occurrence is deleted when its time is over" => occurrences_expire,
    "a purge leaves definitions in place, and deletes events, waits, occurrences, runs and watermarks" => purge_leaves_definitions,
}

fn definition(id: &str) -> TriggerDefinition {
    TriggerDefinition { id: id.into(), spec: Bytes::from(id.to_owned()) }
}

fn expiring(id: &str) -> StoredTrigger {
    StoredTrigger { definition: definition(id), paused: false, stays: false }
}

fn staying(id: &str) -> StoredTrigger {
    StoredTrigger { stays: true, ..expiring(id) }
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

fn handled(listener: &str, sequences: &[u64]) -> Vec<HandledEvent> {
    sequences.iter().map(|sequence| HandledEvent { listener: listener.into(), sequence: *sequence }).collect()
}

fn lookup(condition: u32, since: u64) -> Lookup {
    Lookup { trigger: "trigger".into(), condition, since: Timestamp::from_millis(since) }
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

fn slot_run(id: &str, slot: &ScheduleSlot) -> TriggerRun {
    TriggerRun { slot: Some(slot.clone()), ..run(id, &[]) }
}

impl Given {
    async fn defined(&self) -> Vec<StoredTrigger> {
        self.definitions().await.expect("definitions")
    }

    async fn define_one(&self, id: &str, length: Option<Duration>) {
        self.update(TriggerUpdate::Define { definition: definition(id), length }).await;
    }

    async fn update(&self, update: TriggerUpdate) {
        self.update_definitions(&[update]).await.expect("update_definitions");
    }

    async fn append(&self, events: &[NewEvent]) -> Vec<u64> {
        self.append_events(events).await.expect("append_events")
    }

    /// The kept events of a name, for a trial without other listeners of the name.
    async fn read(&self, name: &str) -> Vec<Event> {
        let take = EventsTake { listeners: vec![listener(name, name)], limit: 100, ..EventsTake::default() };
        let offered = self.take_events(&take).await.expect("take_events");
        offered.into_iter().map(|offered| offered.event).collect()
    }

    async fn offered(&self, id: &str, name: &str, limit: usize) -> Vec<u64> {
        self.acknowledged(id, name, limit, &[]).await
    }

    /// Acknowledges events and takes others, in one call.
    async fn acknowledged(&self, id: &str, name: &str, limit: usize, done: &[u64]) -> Vec<u64> {
        let (listeners, done) = (vec![listener(id, name)], handled(id, done));
        let take = EventsTake { listeners, done, limit, again_after: SECOND * 5 };
        let taken = self.take_events(&take).await.expect("take_events");
        assert!(taken.iter().all(|offered| *offered.listener == *id && *offered.event.name == *name));
        taken.iter().map(|offered| offered.event.sequence).collect()
    }

    /// The position of the event that a wait gets.
    async fn awaited(&self, wait: EventWait) -> Option<u64> {
        self.await_events(&[wait]).await.expect("await_events").remove(0).map(|event| event.sequence)
    }

    async fn ready(&self) -> Vec<InvocationId> {
        self.ready_after(&[]).await
    }

    /// Ends waits and takes ready waiters, in one call.
    async fn ready_after(&self, done: &[InvocationId]) -> Vec<InvocationId> {
        let take = ReadyTake { done: done.to_vec(), limit: 100, again_after: SECOND * 5 };
        let mut ready = self.take_ready(&take).await.expect("take_ready");
        ready.sort_unstable();
        ready
    }

    async fn end_waits(&self, waiters: &[InvocationId]) {
        assert_eq!(self.take_ready(&ReadyTake::done(waiters.to_vec())).await.expect("take_ready"), []);
    }

    async fn report(&self, occurrences: &[Occurrence]) {
        assert!(self.put_occurrences(occurrences, &[], 0).await.expect("put_occurrences").is_empty());
    }

    async fn waiting(&self) -> Vec<String> {
        self.waiting_since(1, 0, 100).await
    }

    async fn waiting_since(&self, condition: u32, since: u64, limit: usize) -> Vec<String> {
        let found = self.put_occurrences(&[], &[lookup(condition, since)], limit).await.expect("put_occurrences");
        found.iter().flatten().map(|occurrence| occurrence.id.to_string()).collect()
    }

    async fn fires(&self, run: &TriggerRun) -> bool {
        self.fires_one(Firing::Run(run.clone())).await
    }

    async fn skips(&self, slot: &ScheduleSlot) -> bool {
        self.fires_one(Firing::Skip(slot.clone())).await
    }

    async fn fires_one(&self, firing: Firing) -> bool {
        let fired = self.fire(&[firing]).await.expect("fire");
        assert_eq!(fired.len(), 1);
        fired[0]
    }

    async fn undelivered(&self, age: Duration) -> Vec<TriggerRun> {
        let runs = self.runs(&TriggerRuns::Undelivered(age), 100).await.expect("runs");
        assert!(runs.iter().all(|fired| fired.delivery == Delivery::Open));
        runs.into_iter().map(|fired| fired.run).collect()
    }

    async fn runs_of(&self, trigger: &str, limit: usize) -> Vec<FiredRun> {
        self.runs(&TriggerRuns::Of(trigger.into()), limit).await.expect("runs")
    }

    async fn report_delivery(&self, run: &str, refused: Option<&str>) {
        let delivered = Delivered { run: run.into(), refused: refused.map(Into::into) };
        self.delivered(&[delivered]).await.expect("delivered");
    }

    async fn mark(&self, schedule: &str) -> Timestamp {
        self.watermarks(&[schedule.into()]).await.expect("watermarks").marks[0]
    }

    /// A due slot that begins at the watermark of a new schedule.
    async fn due_slot(&self, schedule: &str) -> ScheduleSlot {
        let from = self.mark(schedule).await;
        self.advance(SECOND * 10).await;
        ScheduleSlot { schedule: schedule.into(), from, to: from + SECOND * 9 }
    }
}

async fn definitions_live_on_renewal(store: Given) {
    store.define_one("b", Some(SECOND * 10)).await;
    store.define_one("a", Some(SECOND * 10)).await;
    assert_eq!(store.defined().await, [expiring("a"), expiring("b")]);
    store.advance(SECOND * 6).await;
    store.define_one("a", Some(SECOND * 10)).await;
    store.advance(SECOND * 6).await;
    assert_eq!(store.defined().await, [expiring("a")]);
    store.advance(SECOND * 6).await;
    assert_eq!(store.defined().await, []);
}

async fn definitions_may_stay(store: Given) {
    store.define_one("a", None).await;
    store.advance(HOUR * 10_000).await;
    let changed = TriggerDefinition { spec: Bytes::from_static(b"changed"), ..definition("a") };
    assert_eq!(store.defined().await, [staying("a")]);
    store.update(TriggerUpdate::Define { definition: changed.clone(), length: None }).await;
    assert_eq!(store.defined().await, [StoredTrigger { definition: changed, ..staying("a") }]);
}

async fn removed_is_gone(store: Given) {
    store.define_one("a", None).await;
    store.define_one("b", Some(HOUR)).await;
    let removals = ["a", "unknown"].map(|id| TriggerUpdate::Remove(id.into()));
    store.update_definitions(&removals).await.expect("update_definitions");
    assert_eq!(store.defined().await, [expiring("b")]);
}

async fn pauses_last(store: Given) {
    store.define_one("a", Some(SECOND * 10)).await;
    store.update(TriggerUpdate::Pause("a".into())).await;
    assert_eq!(store.defined().await, [StoredTrigger { paused: true, ..expiring("a") }]);
    store.advance(SECOND * 20).await;
    store.define_one("a", Some(SECOND * 10)).await;
    assert_eq!(store.defined().await, [StoredTrigger { paused: true, ..expiring("a") }]);
    store.update(TriggerUpdate::Resume("a".into())).await;
    assert_eq!(store.defined().await, [expiring("a")]);
    store.update(TriggerUpdate::Pause("a".into())).await;
    store.update(TriggerUpdate::Remove("a".into())).await;
    store.define_one("a", Some(SECOND * 10)).await;
    assert_eq!(store.defined().await, [expiring("a")], "removing a trigger ends its pause");
}

async fn events_are_read_back(store: Given) {
    let positions = store.append(&[event("a", "1"), event("b", "2"), event("a", "3")]).await;
    assert!(positions.is_sorted() && positions[0] > 0);
    let now = store.now().await;
    store.advance(SECOND).await;
    let read = store.read("a").await;
    let payloads: Vec<_> = read.iter().map(|event| (event.sequence, event.payload.clone())).collect();
    assert_eq!(payloads, [(positions[0], Bytes::from_static(b"1")), (positions[2], Bytes::from_static(b"3"))]);
    let first = &read[0];
    assert_eq!((first.key.as_deref(), &*first.name, &*first.serializer), (Some("key"), "a", "JsonSerializer"));
    assert!(first.at <= now, "an event has the time of its append");
    assert_eq!(store.read("unknown").await, []);
    store.append(&[NewEvent { key: None, ..event("c", "4") }]).await;
    assert_eq!(store.read("c").await[0].key, None);
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
    let listeners = vec![listener("x", "a"), listener("y", "b")];
    let take = EventsTake { listeners, limit: 10, again_after: SECOND * 5, ..EventsTake::default() };
    let taken = store.take_events(&take).await.expect("take_events");
    let taken: Vec<_> = taken.iter().map(|offered| (&*offered.listener, &offered.event.payload[..])).collect();
    assert_eq!(taken.len(), 4);
    assert_eq!(taken[3], ("y", &b"3"[..]));
}

async fn late_listeners_get_new_events(store: Given) {
    let old = store.append(&[event("a", "1"), event("a", "2")]).await;
    assert_eq!(store.offered("first", "a", 10).await, old);
    let new = store.append(&[event("a", "3")]).await;
    assert_eq!(store.offered("second", "a", 10).await, new);
    assert_eq!(store.offered("first", "a", 10).await, new);
    let last = store.append(&[event("a", "4")]).await;
    assert_eq!(store.offered("second", "a", 10).await, last);
}

async fn listeners_of_one_request(store: Given) {
    let positions = store.append(&[event("a", "1"), event("a", "2"), event("a", "3")]).await;
    let listeners = vec![listener("x", "a"), listener("y", "a")];
    let take = EventsTake { listeners, limit: 2, again_after: HOUR, ..EventsTake::default() };
    for _ in 0..2 {
        let taken = store.take_events(&take).await.expect("take_events");
        let offered = |id: &'static str| {
            let mine = taken.iter().filter(move |offered| &*offered.listener == id);
            mine.map(|offered| offered.event.sequence)
        };
        assert!(offered("x").eq(offered("y")) && offered("x").all(|sequence| positions.contains(&sequence)));
        assert!(!taken.is_empty() && taken.len() <= 4, "the limit holds for each listener");
    }
    assert_eq!(store.take_events(&take).await.expect("take_events"), []);
}

async fn acknowledged_events_are_gone(store: Given) {
    let positions = store.append(&[event("a", "1"), event("a", "2")]).await;
    assert_eq!(store.offered("x", "a", 10).await, positions);
    let done = [handled("x", &[positions[0], u64::MAX]), handled("unknown", &positions)].concat();
    assert_eq!(store.take_events(&EventsTake::done(done)).await.expect("take_events"), []);
    store.advance(SECOND * 5).await;
    assert_eq!(store.offered("x", "a", 10).await, positions[1..]);
}

async fn take_events_acknowledges_and_offers(store: Given) {
    let positions = store.append(&[event("a", "1"), event("a", "2")]).await;
    assert_eq!(store.offered("x", "a", 1).await, positions[..1]);
    store.advance(SECOND * 5).await;
    assert_eq!(store.acknowledged("x", "a", 10, &positions[..1]).await, positions[1..]);
    assert_eq!(store.acknowledged("x", "a", 0, &positions[1..]).await, [0; 0]);
    store.advance(SECOND * 5).await;
    assert_eq!(store.offered("x", "a", 10).await, [0; 0]);
}

async fn waits_find_the_first(store: Given) {
    let waiter = InvocationId::new();
    let plain = || NewEvent { key: None, ..event("name", "1") };
    let positions = store.append(&[plain(), event("other", "2"), event("name", "3"), event("name", "4")]).await;
    let at = store.read("name").await[1].at;
    store.advance(HOUR).await;
    let later = store.append(&[event("name", "5"), plain()]).await;
    let (any, keyed) = (wait(waiter, None), wait(waiter, Some("key")));
    assert_eq!(store.awaited(any.clone()).await, Some(positions[0]));
    assert_eq!(store.awaited(keyed.clone()).await, Some(positions[2]));
    assert_eq!(store.awaited(EventWait { after: positions[2], ..keyed.clone() }).await, Some(positions[3]));
    assert_eq!(store.awaited(EventWait { since: at, ..keyed.clone() }).await, Some(positions[2]));
    assert_eq!(store.awaited(EventWait { since: at + SECOND, ..keyed.clone() }).await, Some(later[0]));
    assert_eq!(store.awaited(EventWait { since: at + SECOND, after: later[0], ..any }).await, Some(later[1]));
    let found = store.await_events(&[wait(waiter, Some("none")), keyed.clone()]).await.expect("await_events");
    assert_eq!(found[0], None);
    assert_eq!(found[1].as_ref().map(|event| &event.payload[..]), Some(&b"3"[..]));
    assert_eq!(store.expire(SECOND, 100).await.expect("expire"), 4);
    assert_eq!(store.awaited(keyed).await, Some(later[0]), "a deleted event isn't found");
}

async fn waiters_are_offered(store: Given) {
    let mut waiters = [InvocationId::new(), InvocationId::new(), InvocationId::new()];
    waiters.sort_unstable();
    for (waiter, key) in waiters.into_iter().zip([None, Some("key"), Some("key")]) {
        assert_eq!(store.awaited(wait(waiter, key)).await, None);
        assert_eq!(store.awaited(wait(waiter, key)).await, None, "a repeated wait is one wait");
    }
    assert_eq!(store.ready().await, []);
    store.append(&[event("name", "1"), event("name", "2")]).await;
    assert_eq!(store.ready().await, waiters);
    assert_eq!(store.ready().await, []);
    store.end_waits(&waiters[..1]).await;
    store.advance(SECOND * 5).await;
    assert_eq!(store.ready().await, waiters[1..]);
    store.end_waits(&waiters).await;
    store.advance(SECOND * 5).await;
    assert_eq!(store.ready().await, []);
}

async fn other_events_end_no_wait(store: Given) {
    let (one, other) = (InvocationId::new(), InvocationId::new());
    assert_eq!(store.awaited(wait(one, Some("mine"))).await, None);
    assert_eq!(store.awaited(wait(other, Some(""))).await, None);
    store.append(&[event("name", "1"), event("other", "2"), NewEvent { key: None, ..event("name", "3") }]).await;
    assert_eq!(store.ready().await, []);
    store.append(&[NewEvent { key: Some("".into()), ..event("name", "4") }]).await;
    assert_eq!(store.ready().await, [other]);
}

async fn ended_waits_are_gone(store: Given) {
    let (one, other) = (InvocationId::new(), InvocationId::new());
    for waiter in [one, other] {
        assert_eq!(store.awaited(wait(waiter, None)).await, None);
        assert_eq!(store.awaited(wait(waiter, Some("key"))).await, None);
    }
    store.end_waits(&[one, InvocationId::new()]).await;
    store.append(&[event("name", "1")]).await;
    assert_eq!(store.ready().await, [other]);
}

async fn take_ready_ends_and_offers(store: Given) {
    let (one, other) = (InvocationId::new(), InvocationId::new());
    for waiter in [one, other] {
        assert_eq!(store.awaited(wait(waiter, None)).await, None);
    }
    store.append(&[event("name", "1")]).await;
    assert_eq!(store.ready_after(&[one]).await, [other]);
    store.advance(SECOND * 5).await;
    assert_eq!(store.ready_after(&[other]).await, []);
}

async fn occurrences_are_stored_once(store: Given) {
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
    let lookups = [lookup(2, 0), lookup(1, 3), lookup(2, 2)];
    let found = store.put_occurrences(&[], &lookups, 100).await.expect("put_occurrences");
    assert_eq!(found, [vec![other], vec![occurrence("c", 3)], vec![]]);
}

async fn lookups_see_the_same_call(store: Given) {
    store.report(&[occurrence("a", 1)]).await;
    let both = [occurrence("b", 2), occurrence("a", 1)];
    let found = store.put_occurrences(&both, &[lookup(1, 0)], 100).await.expect("put_occurrences");
    assert_eq!(found, [vec![occurrence("a", 1), occurrence("b", 2)]]);
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
    let batch = ["event", "run", "event", "next"].map(|id| Firing::Run(run(id, &[])));
    assert_eq!(store.fire(&batch).await.expect("fire"), [true, false, false, true]);
}

async fn runs_consume(store: Given) {
    store.report(&[occurrence("a", 1), occurrence("b", 2), occurrence("c", 3)]).await;
    assert!(store.fires(&run("run", &["a", "c"])).await);
    assert_eq!(store.waiting().await, ["b"]);
}

async fn runs_do_not_share(store: Given) {
    store.report(&[occurrence("a", 1), occurrence("b", 2)]).await;
    assert!(store.fires(&run("first", &["a"])).await);
    assert!(!store.fires(&run("second", &["b", "a"])).await);
    assert_eq!(store.waiting().await, ["b"]);
    assert_eq!(store.undelivered(Duration::ZERO).await, [run("first", &["a"])]);
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
    let next = ScheduleSlot { from: slot.to, to: slot.to + SECOND, ..slot };
    assert!(store.fires(&slot_run("next", &next)).await);
    let unknown = ScheduleSlot { schedule: "unknown".into(), ..next };
    assert!(!store.fires(&slot_run("unknown", &unknown)).await);
}

async fn future_slots_do_not_fire(store: Given) {
    let from = store.mark("cron").await;
    let slot = ScheduleSlot { schedule: "cron".into(), from, to: from + HOUR };
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
    assert_eq!(store.undelivered(Duration::ZERO).await, [run("z", &[]), run("a", &[])]);
    assert_eq!(store.undelivered(SECOND).await, [run("z", &[])]);
    store.report_delivery("z", None).await;
    store.report_delivery("unknown", None).await;
    assert_eq!(store.undelivered(Duration::ZERO).await, [run("a", &[])]);
    assert!(!store.fires(&run("z", &[])).await, "a delivered run doesn't fire again");
}

async fn runs_are_listed(store: Given) {
    let failed = TriggerRun { outcome: RunOutcome::Failed("no call".into()), ..run("failed", &[]) };
    let runs = [run("sent", &[]), run("open", &[]), failed, run("refused", &[])];
    for run in &runs {
        assert!(store.fires(run).await);
        store.advance(SECOND).await;
    }
    store.report_delivery("sent", None).await;
    store.report_delivery("refused", Some("unknown task")).await;
    let listed = store.runs_of("trigger", 100).await;
    assert!(listed.windows(2).all(|pair| pair[0].at > pair[1].at));
    let listed: Vec<_> = listed.into_iter().map(|fired| (fired.run, fired.delivery)).collect();
    let deliveries = [Delivery::Submitted, Delivery::Open, Delivery::Open, Delivery::Refused("unknown task".into())];
    let expected: Vec<_> = runs.into_iter().zip(deliveries).rev().collect();
    assert_eq!(listed, expected);
    assert_eq!(store.runs_of("trigger", 2).await.len(), 2);
    assert_eq!(store.runs_of("other", 2).await, []);
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

async fn skips_store_no_run(store: Given) {
    let slot = store.due_slot("cron").await;
    assert!(store.skips(&slot).await);
    assert_eq!(store.mark("cron").await, slot.to);
    assert_eq!(store.undelivered(Duration::ZERO).await, []);
    assert!(!store.fires(&slot_run("run", &slot)).await, "the slot was skipped");
    let next = ScheduleSlot { from: slot.to, to: slot.to + SECOND, ..slot.clone() };
    let batch = [Firing::Skip(slot), Firing::Run(slot_run("next", &next)), Firing::Skip(next)];
    assert_eq!(store.fire(&batch).await.expect("fire"), [false, true, false]);
}

async fn slots_are_skipped_once(store: Given) {
    let slot = store.due_slot("cron").await;
    let tries = (0..16).map(|_| {
        let (store, slot) = (store.clone(), slot.clone());
        tokio::spawn(async move { store.skips(&slot).await })
    });
    let mut moved = 0;
    for attempt in tries.collect::<Vec<_>>() {
        moved += usize::from(attempt.await.expect("a skip doesn't panic"));
    }
    assert_eq!((moved, store.mark("cron").await), (1, slot.to));
}

async fn future_slots_are_not_skipped(store: Given) {
    let from = store.mark("cron").await;
    let slot = ScheduleSlot { schedule: "cron".into(), from, to: from + HOUR };
    assert!(!store.skips(&slot).await);
    assert_eq!(store.mark("cron").await, from);
}

async fn changes_are_announced(store: Given) {
    let mut notifications = store.notifications().await.expect("notifications");
    assert_eq!(notifications.next().now_or_never(), None);
    store.append(&[event("a", "1")]).await;
    assert_eq!(notifications.next().await, Some(Notification::Events));
    store.define_one("a", Some(HOUR)).await;
    assert_eq!(notifications.next().await, Some(Notification::Definitions));
    store.update(TriggerUpdate::Pause("a".into())).await;
    assert_eq!(notifications.next().await, Some(Notification::Definitions));
    store.update(TriggerUpdate::Remove("a".into())).await;
    assert_eq!(notifications.next().await, Some(Notification::Definitions));
    store.append(&[event("a", "2")]).await;
    assert_eq!(notifications.next().await, Some(Notification::Events));
}

async fn old_items_are_deleted(store: Given) {
    store.append(&[event("a", "old")]).await;
    store.report(&[occurrence("used", 1), occurrence("waits", 2)]).await;
    assert!(store.fires(&run("submitted", &["used"])).await && store.fires(&run("open", &[])).await);
    store.report_delivery("submitted", None).await;
    store.advance(HOUR).await;
    store.append(&[event("a", "new")]).await;
    let mut deleted = 0;
    for limit in [1, 100, 100] {
        let more = store.expire(HOUR, limit).await.expect("expire");
        assert!(more <= limit);
        deleted += more;
    }
    assert_eq!(deleted, 3, "an event, an occurrence, a run");
    let events = store.read("a").await;
    assert_eq!(events.iter().map(|event| &event.payload[..]).collect::<Vec<_>>(), [b"new"]);
    assert_eq!(store.waiting().await, ["waits"]);
    assert_eq!(store.undelivered(Duration::ZERO).await, [run("open", &[])]);
    assert_eq!(store.runs_of("trigger", 100).await.len(), 1);
}

async fn occurrences_expire(store: Given) {
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
    let position = store.append(&[event("a", "1")]).await[0];
    store.report(&[occurrence("a", 1)]).await;
    assert!(store.fires(&run("run", &[])).await);
    let slot = store.due_slot("cron").await;
    store.purge().await.expect("purge");
    assert_eq!(store.defined().await, [staying("a")]);
    assert_eq!((store.read("a").await, store.waiting().await), (vec![], vec![]));
    assert_eq!((store.undelivered(Duration::ZERO).await, store.runs_of("trigger", 9).await), (vec![], vec![]));
    assert!(!store.fires(&slot_run("slot", &slot)).await, "the schedule has no watermark");
    let next = store.append(&[event("a", "2")]).await;
    assert!(next[0] > position, "a position is never used twice");
    assert_eq!(store.offered("x", "a", 10).await, next);
}
