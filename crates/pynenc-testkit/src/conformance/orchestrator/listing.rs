//! Trials of `records`, `inspect`, `find` and `count`.

use std::collections::BTreeMap;
use std::time::Duration;

use pynenc_core::orchestrator::{Find, Inspection, Tracked};
use pynenc_core::record::{Priority, Registration, Retention, WhenBlocked};
use pynenc_core::status::{By, Change, Due};
use pynenc_core::{InvocationId, QueueName, Reason, RunnerId, Status, Timestamp};

use super::super::sample::{HOUR, SECOND, limited, registration, registration_key, running_key};
use super::super::trials;
use super::given::{Given, ids};

trials! { pub(super) Given:
    "records are read in the order of the ids, and an unknown invocation gives `None`" => unknown_is_none,
    "an inspection shows the registration, and an unknown invocation gives `None`" => inspection_shows_the_registration,
    "an inspection shows the history, whose versions grow by one from line to line" => inspection_shows_the_history,
    "an inspection names the holders of the running key and counts the invocations parked before" => inspection_names_holders,
    "an inspection names the unfinished invocations that a paused one waits for" => inspection_names_awaited,
    "pages are complete and in order, and filters hold together" => pages_are_complete,
    "the newest first is the same listing in reverse" => newest_first_is_reversed,
    "an invocation registered before `since` or after `until` isn't listed" => since_and_until_hold,
    "an invocation that finished without a value is found among many that wait, and the size of a page is bounded" => pages_are_bounded,
    "the filter for queued invocations matches due and delayed ones, but no owned, parked, suspended or finished one" => queued_are_listed,
    "the filter for queued invocations leaves out those that changed too recently" => changed_are_not_listed,
    "the filter for an owner matches an invocation until it leaves its owner" => owned_are_listed,
    "counts follow every transition" => counts_follow,
    "a forgotten invocation is counted by its final status" => forgotten_are_counted,
}

async fn unknown_is_none(orchestrator: Given) {
    let (first, second) = (orchestrator.fresh().await, orchestrator.fresh().await);
    let found = orchestrator.records(&[second.id, InvocationId::new(), first.id]).await.expect("records");
    assert_eq!(found, [Some(second), None, Some(first)]);
}

impl Given {
    /// The items of all pages of a listing.
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

    async fn queued_ids(&self, queued_for: Duration) -> Vec<InvocationId> {
        self.found(Find { queued_for: Some(queued_for), limit: 100, ..Find::default() }).await
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
    let queued = Find { queued_for: Some(Duration::ZERO), limit: 2, ..Find::default() };
    let page = orchestrator.find(&queued).await.expect("find");
    assert_eq!(ids(&page.items), all[..2]);
    let rest = orchestrator.find(&Find { after: page.next, limit: 100, ..queued.clone() }).await.expect("find");
    assert_eq!((ids(&rest.items), rest.next), (vec![all[2], all[5], all[6]], None));
    let odd = Find { task: Some("testkit::odd".into()), ..queued.clone() };
    assert_eq!(orchestrator.found(odd).await, [all[1], all[5]]);
    let reversed = Find { newest_first: true, ..queued };
    assert_eq!(orchestrator.found(reversed).await, [all[6], all[5], all[2], all[1], all[0]]);
}

async fn newest_first_is_reversed(orchestrator: Given) {
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
            let mut reversed = orchestrator.found(forth).await;
            reversed.reverse();
            assert_eq!(orchestrator.found(back).await, reversed);
        }
    }
}

async fn since_and_until_hold(orchestrator: Given) {
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
        assert_eq!(found, young, "the newest first, without {old}");
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
        assert_eq!((ids(&page.items), page.next), (vec![failed.id], None), "one page is enough");
        let none = Find { statuses: vec![Status::Cancelled], ..find.clone() };
        let page = orchestrator.find(&none).await.expect("find");
        assert_eq!((page.items.len(), page.next), (0, None));
        let task = Find { task: Some("testkit::absent".into()), statuses: Vec::new(), ..find.clone() };
        let page = orchestrator.find(&task).await.expect("find");
        assert!(page.items.is_empty() && page.next.is_some(), "the page has a cursor");
        assert!(orchestrator.found(task).await.is_empty(), "the listing ends");
    }
    orchestrator.cancel(&waiting.iter().map(|one| one.id).collect::<Vec<_>>()).await.expect("cancel");
    let cancelled = Find { statuses: vec![Status::Cancelled, Status::Failed], limit: 5000, ..Find::default() };
    assert_eq!(orchestrator.found(cancelled).await.len(), waiting.len() + 1);
}

impl Given {
    async fn inspected(&self, id: InvocationId) -> Inspection {
        self.inspect(&[id]).await.expect("inspect").remove(0).expect("the invocation exists")
    }
}

async fn inspection_shows_the_registration(orchestrator: Given) {
    let plain = registration();
    let keyed = Registration {
        registration: Some(registration_key("key", "arguments")),
        running: Some(running_key(3, WhenBlocked::Drop)),
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
        assert!(inspected.now >= now && inspected.now.since(now) < HOUR, "`now` is the store's present time");
        assert_eq!((inspected.holders, inspected.parked_before, inspected.awaits), (vec![], None, vec![]));
    }
    let both = orchestrator.inspect(&[InvocationId::new(), plain.id]).await.expect("inspect");
    assert_eq!((both[0].is_none(), both[1].as_ref().map(|it| it.tracked.id)), (true, Some(plain.id)));
}

async fn inspection_names_holders(orchestrator: Given) {
    let runner = RunnerId::new();
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(orchestrator.accepted(&limited(2)).await.id);
    }
    for id in &ids {
        orchestrator.claimed(*id, runner).await;
    }
    for (index, id) in ids.iter().enumerate() {
        let Inspection { holders, parked_before, .. } = orchestrator.inspected(*id).await;
        assert_eq!(holders, ids[..2]);
        assert_eq!(parked_before, index.checked_sub(2).map(|before| before as u64));
    }
}

async fn inspection_names_awaited(orchestrator: Given) {
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

async fn queued_are_listed(orchestrator: Given) {
    for &status in Status::ALL {
        let reached = orchestrator.reached(status).await;
        let is_listed = orchestrator.queued_ids(Duration::ZERO).await.contains(&reached.id);
        assert_eq!(is_listed, status.is_claimable(), "{status}");
        orchestrator.purge().await.expect("purge");
    }
    let due = Registration { due: Some(Due::In(HOUR)), ..registration() };
    let due = orchestrator.accepted(&due).await.id;
    let suspended = orchestrator.running(RunnerId::new()).await;
    let suspended = orchestrator.moved(&suspended, Status::Scheduled, Reason::Suspended).await;
    assert_eq!(orchestrator.queued_ids(Duration::ZERO).await, [due]);
    orchestrator.done(&suspended, Change::new(Status::Rerouted, By::System, Reason::Woken)).await;
    assert_eq!(orchestrator.queued_ids(Duration::ZERO).await, [due, suspended.id]);
}

async fn changed_are_not_listed(orchestrator: Given) {
    let (old, back) = (orchestrator.fresh().await, orchestrator.running(RunnerId::new()).await);
    orchestrator.advance(SECOND * 10).await;
    orchestrator.moved(&back, Status::Rerouted, Reason::Shutdown).await;
    assert_eq!(orchestrator.queued_ids(SECOND * 10).await, [old.id]);
    orchestrator.advance(SECOND * 10).await;
    assert_eq!(orchestrator.queued_ids(SECOND * 10).await, [old.id, back.id]);
    assert_eq!(orchestrator.queued_ids(SECOND * 30).await, []);
}

/// Compares the counts with those of the full listing.
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
    assert_eq!((counts.statuses, counts.queued), (statuses, queued));
}

async fn forgotten_are_counted(orchestrator: Given) {
    let (first, second, kept) =
        (orchestrator.success().await, orchestrator.success().await, orchestrator.success().await);
    let (failed, running) = (orchestrator.reached(Status::Failed).await, orchestrator.running(RunnerId::new()).await);
    let before = orchestrator.count().await.expect("count");
    assert_eq!((before.ever(Status::Success), before.ever(Status::Failed)), (3, 1));
    // An invocation that isn't finished is not forgotten, and an unknown one isn't counted.
    for ids in [[first.id, failed.id], [second.id, running.id], [first.id, InvocationId::new()]] {
        orchestrator.forget(&ids).await.expect("forget");
    }
    let after = orchestrator.count().await.expect("count");
    assert_eq!(after.forgotten, [(Status::Success, 2), (Status::Failed, 1)].into());
    assert_eq!((after.ever(Status::Success), after.ever(Status::Failed)), (3, 1), "{kept:?} is still there");
    orchestrator.purge().await.expect("purge");
    assert_eq!(orchestrator.count().await.expect("count").forgotten, [].into());
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
    let outlived = orchestrator.outlived(100, Duration::ZERO).await.expect("outlived");
    assert_eq!(outlived.len(), 1);
    orchestrator.forget(&outlived).await.expect("forget");
    assert_counted(&orchestrator).await;
}

async fn inspection_shows_the_history(orchestrator: Given) {
    let runner = RunnerId::new();
    let running = orchestrator.running(runner).await;
    let retry = orchestrator.retried(&running, SECOND).await;
    orchestrator.advance(SECOND).await;
    let running = orchestrator.started(retry.id, runner).await;
    orchestrator.succeeded(&running).await;
    let history = orchestrator.history(running.id).await;
    let versions: Vec<_> = history.iter().map(|line| line.version).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6, 7]);
    let runners: Vec<_> = history.iter().map(|line| line.runner).collect();
    assert_eq!(runners[0], None);
    assert!(runners[1..].iter().all(|line| *line == Some(runner)));
}

async fn owned_are_listed(orchestrator: Given) {
    let (runner, other) = (RunnerId::new(), RunnerId::new());
    let first = orchestrator.accepted(&limited(2)).await;
    let first = orchestrator.granted(first.id, runner).await;
    let second = orchestrator.running(runner).await;
    let third = orchestrator.running(other).await;
    assert_eq!(sorted(orchestrator.owned(runner).await), sorted(vec![first.clone(), second.clone()]));
    let by_page = Find { owner: Some(runner), limit: 1, ..Find::default() };
    assert_eq!(orchestrator.found(by_page.clone()).await, ids(&orchestrator.owned(runner).await));
    let running = Find { statuses: vec![Status::Running], ..by_page };
    assert_eq!(orchestrator.found(running).await, [second.id]);
    orchestrator.moved(&first, Status::Rerouted, Reason::Shutdown).await;
    orchestrator.succeeded(&second).await;
    assert_eq!(orchestrator.owned(runner).await, []);
    assert_eq!(orchestrator.owned(other).await, [third]);
}

fn sorted(mut tracked: Vec<Tracked>) -> Vec<Tracked> {
    tracked.sort_unstable_by_key(|tracked| tracked.id);
    tracked
}
