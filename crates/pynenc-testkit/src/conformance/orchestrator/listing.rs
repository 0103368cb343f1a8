//! The trials of the methods that read.

use std::collections::BTreeMap;
use std::time::Duration;

use pynenc_core::orchestrator::{Counts, Find, Inspected, Tracked};
use pynenc_core::record::{Priority, Registration, Retention, WhenBlocked};
use pynenc_core::status::{By, Change, Due};
use pynenc_core::{InvocationId, QueueName, Reason, RunnerId, Status, Timestamp};

use super::super::sample::{HOUR, SECOND, limited, registration, registration_key, running_key};
use super::super::trials;
use super::{Given, ids};

trials! { pub(super) Given:
    "what is unknown is `None`" => unknown_is_none,
    "pages of a listing are complete and in order, and filters hold" => pages_are_complete,
    "a listing from the newest is the same one, turned round" => newest_is_turned_round,
    "what was registered before `since` isn't listed, nor what was registered after `until`" => since_is_kept,
    "what has ended without a value is found among much that waits, and a page looks at a bounded number of entries" => pages_are_bounded,
    "what is inspected is as it was registered, and `None` if it is unknown" => inspected_is_as_registered,
    "who has the slots of a running key is named, and how many are parked before" => holders_are_named,
    "what a paused one waits for is named until it has ended" => awaited_is_named,
    "what is queued is listed, due or not, and what is owned, parked, asleep or final isn't" => queued_is_listed,
    "what changed within `unchanged_for` isn't listed" => changed_is_not_listed,
    "counts follow every transition" => counts_follow,
    "versions in a history grow by one from line to line" => versions_grow,
    "what is claimed is listed until it leaves its owner" => owned_is_listed,
}

async fn unknown_is_none(orchestrator: Given) {
    let (first, second) = (orchestrator.fresh().await, orchestrator.fresh().await);
    let found = orchestrator.records(&[second.id, InvocationId::new(), first.id]).await.expect("records");
    assert_eq!(found, [Some(second), None, Some(first)]);
    assert_eq!(orchestrator.history(InvocationId::new()).await.expect("history"), []);
}

impl Given {
    /// Every page of a listing, one after another.
    async fn found(&self, mut find: Find) -> Vec<InvocationId> {
        let mut found = Vec::new();
        loop {
            let page = self.find(&find).await.expect("find");
            assert!(page.items.len() <= find.limit);
            found.extend(ids(&page.items));
            match page.next {
                Some(next) => find.after = Some(next),
                None => return found,
            }
        }
    }

    async fn queued_ids(&self, unchanged_for: Duration) -> Vec<InvocationId> {
        ids(&self.queued(None, unchanged_for, 100).await.expect("queued").items)
    }
}

async fn pages_are_complete(orchestrator: Given) {
    let mut all = Vec::new();
    for number in 0..7 {
        let name = if number % 2 == 0 { "testkit::even" } else { "testkit::odd" };
        all.push(orchestrator.accepted(&Registration { task: name.into(), ..registration() }).await.id);
        orchestrator.advance(SECOND).await;
    }
    orchestrator.granted(all[3], RunnerId::new()).await;
    orchestrator.granted(all[4], RunnerId::new()).await;
    for limit in [1, 2, 3, 7, 8] {
        let find = Find { limit, ..Find::default() };
        assert_eq!(orchestrator.found(find.clone()).await, all);
        let pending = Find { statuses: vec![Status::Pending, Status::Success], ..find.clone() };
        assert_eq!(orchestrator.found(pending).await, all[3..5]);
        let odd = Find { task: Some("testkit::odd".into()), ..find.clone() };
        assert_eq!(orchestrator.found(odd.clone()).await, [all[1], all[3], all[5]]);
        let both = Find { statuses: vec![Status::Pending], ..odd };
        assert_eq!(orchestrator.found(both).await, [all[3]]);
    }
    let page = orchestrator.queued(None, Duration::ZERO, 2).await.expect("queued");
    assert_eq!(ids(&page.items), all[..2]);
    let rest = orchestrator.queued(page.next, Duration::ZERO, 100).await.expect("queued");
    assert_eq!((ids(&rest.items), rest.next), (vec![all[2], all[5], all[6]], None));
}

async fn newest_is_turned_round(orchestrator: Given) {
    let mut all = Vec::new();
    for number in 0..7 {
        all.push(orchestrator.fresh().await.id);
        if number % 3 == 0 {
            orchestrator.advance(SECOND).await;
        }
    }
    for id in &all[2..5] {
        orchestrator.granted(*id, RunnerId::new()).await;
    }
    for limit in [1, 2, 3, 7, 8] {
        let forth = Find { limit, ..Find::default() };
        let back = Find { newest_first: true, ..forth.clone() };
        let pending = Find { statuses: vec![Status::Pending], ..forth.clone() };
        for (forth, back) in [(forth, back.clone()), (pending.clone(), Find { newest_first: true, ..pending })] {
            let mut turned = orchestrator.found(forth).await;
            turned.reverse();
            assert_eq!(orchestrator.found(back).await, turned);
        }
    }
}

async fn since_is_kept(orchestrator: Given) {
    let old = orchestrator.fresh().await.id;
    orchestrator.advance(SECOND).await;
    let since = orchestrator.now().await;
    let mut young = [orchestrator.fresh().await.id, orchestrator.fresh().await.id];
    orchestrator.granted(young[1], RunnerId::new()).await;
    for limit in [1, 2, 9] {
        let find = Find { since: Some(since), limit, ..Find::default() };
        young.sort_unstable();
        let mut found = orchestrator.found(find.clone()).await;
        found.sort_unstable();
        assert_eq!(found, young);
        let mut found = orchestrator.found(Find { newest_first: true, ..find }).await;
        found.sort_unstable();
        assert_eq!(found, young, "from the newest, without {old}");
        let until = Timestamp::from_millis(since.as_millis() - 1);
        for newest_first in [false, true] {
            let find = Find { until: Some(until), limit, newest_first, ..Find::default() };
            assert_eq!(orchestrator.found(find).await, [old]);
            let none = Find { since: Some(since), until: Some(until), limit, newest_first, ..Find::default() };
            assert!(orchestrator.found(none).await.is_empty());
        }
    }
}

async fn pages_are_bounded(orchestrator: Given) {
    let failed = orchestrator.fresh().await;
    let waiting: Vec<_> = (0..Find::LOOKED_AT + 600).map(|_| registration()).collect();
    orchestrator.register(&waiting).await.expect("register");
    let granted = orchestrator.granted(failed.id, RunnerId::new()).await;
    orchestrator.moved(&granted, Status::Failed, Reason::Raised).await;
    for newest_first in [false, true] {
        let find = Find { statuses: vec![Status::Failed], limit: 10, newest_first, ..Find::default() };
        let page = orchestrator.find(&find).await.expect("find");
        assert_eq!((ids(&page.items), page.next), (vec![failed.id], None), "in one page");
        let none = Find { statuses: vec![Status::Cancelled], ..find.clone() };
        let page = orchestrator.find(&none).await.expect("find");
        assert_eq!((page.items.len(), page.next), (0, None));
        let task = Find { task: Some("testkit::absent".into()), statuses: Vec::new(), ..find.clone() };
        let page = orchestrator.find(&task).await.expect("find");
        assert!(page.items.is_empty() && page.next.is_some(), "it says how far it has looked");
        assert!(orchestrator.found(task).await.is_empty(), "and comes to an end");
    }
    orchestrator.cancel(&waiting.iter().map(|one| one.id).collect::<Vec<_>>()).await.expect("cancel");
    let cancelled = Find { statuses: vec![Status::Cancelled, Status::Failed], limit: 5000, ..Find::default() };
    assert_eq!(orchestrator.found(cancelled).await.len(), waiting.len() + 1);
}

impl Given {
    async fn inspected(&self, id: InvocationId) -> Inspected {
        self.inspect(&[id]).await.expect("inspect").remove(0).expect("it is known")
    }
}

async fn inspected_is_as_registered(orchestrator: Given) {
    let plain = registration();
    let keyed = Registration {
        registration: Some(registration_key("key", "arguments")),
        running: Some(running_key(3, WhenBlocked::End)),
        priority: Priority::new(7),
        retention: Retention { results: SECOND, failures: HOUR },
        ..registration()
    };
    for registration in [&plain, &keyed, &limited(2)] {
        let due = Registration { due: Some(Due::In(HOUR)), ..registration.clone() };
        let tracked = orchestrator.accepted(&due).await;
        let now = orchestrator.now().await;
        let inspected = orchestrator.inspected(registration.id).await;
        assert_eq!((&inspected.tracked, &inspected.registration), (&tracked, registration));
        assert!(inspected.now >= now && inspected.now.since(now) < HOUR, "it is the store's present");
        assert_eq!((inspected.holders, inspected.parked_before, inspected.awaits), (vec![], None, vec![]));
    }
    let both = orchestrator.inspect(&[InvocationId::new(), plain.id]).await.expect("inspect");
    assert_eq!((both[0].is_none(), both[1].as_ref().map(|it| it.tracked.id)), (true, Some(plain.id)));
}

async fn holders_are_named(orchestrator: Given) {
    let runner = RunnerId::new();
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(orchestrator.accepted(&limited(2)).await.id);
    }
    for id in &ids {
        orchestrator.claimed(*id, runner).await;
    }
    for (place, id) in ids.iter().enumerate() {
        let Inspected { holders, parked_before, .. } = orchestrator.inspected(*id).await;
        assert_eq!(holders, ids[..2]);
        assert_eq!(parked_before, place.checked_sub(2).map(|before| before as u64));
    }
}

async fn awaited_is_named(orchestrator: Given) {
    let body = orchestrator.running(RunnerId::new()).await;
    let (first, second) = (orchestrator.running(RunnerId::new()).await, orchestrator.fresh().await);
    let (body, _) = orchestrator.paused(&body, &[first.id, second.id]).await;
    let mut both = [first.id, second.id];
    both.sort_unstable();
    assert_eq!(orchestrator.inspected(body.id).await.awaits, both);
    orchestrator.succeeded(&first).await;
    assert_eq!(orchestrator.inspected(body.id).await.awaits, [second.id]);
    orchestrator.moved(&body, Status::Running, Reason::Resumed).await;
    assert_eq!(orchestrator.inspected(body.id).await.awaits, []);
}

async fn queued_is_listed(orchestrator: Given) {
    for &status in Status::ALL {
        let reached = orchestrator.reached(status).await;
        let is_listed = orchestrator.queued_ids(Duration::ZERO).await.contains(&reached.id);
        assert_eq!(is_listed, status.is_claimable(), "{status}");
        orchestrator.purge().await.expect("purge");
    }
    let due = Registration { due: Some(Due::In(HOUR)), ..registration() };
    let due = orchestrator.accepted(&due).await.id;
    let sleeper = orchestrator.running(RunnerId::new()).await;
    let sleeper = orchestrator.moved(&sleeper, Status::Scheduled, Reason::PutAside).await;
    assert_eq!(orchestrator.queued_ids(Duration::ZERO).await, [due]);
    orchestrator.done(&sleeper, Change::new(Status::Rerouted, By::System, Reason::Woken)).await;
    assert_eq!(orchestrator.queued_ids(Duration::ZERO).await, [due, sleeper.id]);
}

async fn changed_is_not_listed(orchestrator: Given) {
    let (old, back) = (orchestrator.fresh().await, orchestrator.running(RunnerId::new()).await);
    orchestrator.advance(SECOND * 10).await;
    orchestrator.moved(&back, Status::Rerouted, Reason::Shutdown).await;
    assert_eq!(orchestrator.queued_ids(SECOND * 10).await, [old.id]);
    orchestrator.advance(SECOND * 10).await;
    assert_eq!(orchestrator.queued_ids(SECOND * 10).await, [old.id, back.id]);
    assert_eq!(orchestrator.queued_ids(SECOND * 30).await, []);
}

/// What the counts have to be, by looking at everything.
async fn assert_counted(orchestrator: &Given) {
    let (mut statuses, mut queued) = (BTreeMap::<_, u64>::new(), BTreeMap::<QueueName, u64>::new());
    for Tracked { record, queue, .. } in orchestrator.all().await {
        *statuses.entry(record.status).or_default() += 1;
        if record.is_queued() {
            *queued.entry(queue).or_default() += 1;
        }
    }
    let mut counts = orchestrator.count().await.expect("count");
    counts.statuses.retain(|_, count| *count > 0);
    counts.queued.retain(|_, count| *count > 0);
    assert_eq!(counts, Counts { statuses, queued });
}

async fn counts_follow(orchestrator: Given) {
    for &status in Status::ALL {
        orchestrator.reached(status).await;
        assert_counted(&orchestrator).await;
        orchestrator.purge().await.expect("purge");
        assert_counted(&orchestrator).await;
    }
    let elsewhere = Registration { queue: "elsewhere".into(), ..registration() };
    orchestrator.accepted(&elsewhere).await;
    orchestrator.reached(Status::Success).await;
    assert_counted(&orchestrator).await;
    orchestrator.advance(HOUR * 24 * 365).await;
    let outlived = orchestrator.outlived(100).await.expect("outlived");
    assert_eq!(outlived.len(), 1);
    orchestrator.forget(&outlived).await.expect("forget");
    assert_counted(&orchestrator).await;
}

async fn versions_grow(orchestrator: Given) {
    let runner = RunnerId::new();
    let running = orchestrator.running(runner).await;
    let retry = orchestrator.retried(&running, SECOND).await;
    orchestrator.advance(SECOND).await;
    let running = orchestrator.started(retry.id, runner).await;
    orchestrator.succeeded(&running).await;
    let history = orchestrator.history(running.id).await.expect("history");
    let versions: Vec<_> = history.iter().map(|line| line.version).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6, 7]);
    let runners: Vec<_> = history.iter().map(|line| line.runner).collect();
    assert_eq!(runners[0], None);
    assert!(runners[1..].iter().all(|line| *line == Some(runner)));
}

async fn owned_is_listed(orchestrator: Given) {
    let (runner, other) = (RunnerId::new(), RunnerId::new());
    let first = orchestrator.accepted(&limited(2)).await;
    let first = orchestrator.granted(first.id, runner).await;
    let second = orchestrator.running(runner).await;
    let third = orchestrator.running(other).await;
    let mut owned = orchestrator.owned(runner).await.expect("owned");
    owned.sort_by_key(|tracked| tracked.record.deliveries + tracked.record.starts);
    assert_eq!(owned, [first.clone(), second.clone()]);
    orchestrator.moved(&first, Status::Rerouted, Reason::Shutdown).await;
    orchestrator.succeeded(&second).await;
    assert_eq!(orchestrator.owned(runner).await.expect("owned"), []);
    assert_eq!(orchestrator.owned(other).await.expect("owned"), [third]);
}
