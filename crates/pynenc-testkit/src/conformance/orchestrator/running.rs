//! The trials of runners and their leases.

use pynenc_core::orchestrator::{HeartbeatReply, Introduction, RunnerInfo};
use pynenc_core::status::{By, Change};
use pynenc_core::{InvocationId, Reason, RunnerId, Status};

use super::super::sample::{SECOND, queue, task};
use super::super::trials;
use super::Given;

trials! { pub(super) Given:
    "a heartbeat makes the runner known" => heartbeat_makes_known,
    "a retired runner is told so" => retired_is_told,
    "a heartbeat that finds no runner's younger than half a lease starts an amnesty of two intervals" => silence_starts_an_amnesty,
    "a heartbeat tells whether the runner has introduced itself" => introductions_are_told,
    "a runner that has introduced itself is listed with what it serves, and one that isn't known isn't kept" => introductions_are_listed,
    "runners are listed with what they own" => runners_are_listed,
    "a runner that leaves is retired at once, amnesty or not" => leaving_retires,
    "a runner whose lease ran out is retired in the same step" => lapsed_is_retired,
    "what a retired runner owns is listed until it has left it" => owned_by_retired_is_listed,
    "during an amnesty no lease runs out" => amnesty_holds,
    "no lease runs out while nobody was heard within half of it, for then the store has stood still" => silence_is_the_stores,
    "one runner has a lease until it ends or is given back, and may renew it" => lease_is_for_one,
    "a lease of no length gives it back" => lease_is_given_back,
}

const ALIVE: HeartbeatReply = HeartbeatReply::Alive { cancel: Vec::new(), is_introduced: false };

impl Given {
    async fn listed(&self) -> Vec<RunnerInfo> {
        self.runners().await.expect("runners")
    }

    async fn introduced(&self, runner: RunnerId, introduction: &Introduction) {
        self.introduce(runner, introduction).await.expect("introduce");
    }

    async fn lost(&self) -> Vec<(RunnerId, InvocationId)> {
        let expired = self.expired(100).await.expect("expired");
        expired.into_iter().map(|(runner, tracked)| (runner, tracked.id)).collect()
    }

    /// Lets time pass, with a heartbeat of `runner` every five seconds.
    async fn lives(&self, runner: RunnerId, beats: u32) {
        for _ in 0..beats {
            self.advance(SECOND * 5).await;
            assert!(matches!(self.beat(runner).await, HeartbeatReply::Alive { .. }));
        }
    }

    async fn holds(&self, runner: RunnerId, seconds: u32) -> bool {
        self.lease("testkit", runner, SECOND * seconds).await.expect("lease")
    }
}

async fn heartbeat_makes_known(orchestrator: Given) {
    let runner = RunnerId::new();
    assert_eq!(orchestrator.listed().await, []);
    assert_eq!(orchestrator.beat(runner).await, ALIVE);
    let listed = orchestrator.listed().await;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].id, listed[0].retired, listed[0].owned), (runner, false, 0));
    assert_eq!(listed[0].lease, SECOND * 15);
    assert_eq!(&*listed[0].description, "testkit");
    orchestrator.lives(runner, 1).await;
    assert!(orchestrator.listed().await[0].last_heartbeat >= listed[0].last_heartbeat + SECOND * 5);
}

async fn retired_is_told(orchestrator: Given) {
    let (dead, alive) = (RunnerId::new(), RunnerId::new());
    orchestrator.beat(dead).await;
    orchestrator.lives(alive, 4).await;
    assert_eq!(orchestrator.lost().await, []);
    assert_eq!(orchestrator.beat(dead).await, HeartbeatReply::Retired);
    assert_eq!(orchestrator.listed().await.len(), 1, "it owns nothing, and is of no interest to others");
    orchestrator.lives(alive, 10).await;
    orchestrator.lost().await;
    assert_eq!(orchestrator.beat(dead).await, HeartbeatReply::Retired, "it is told at its next heartbeat");
}

async fn introductions_are_told(orchestrator: Given) {
    let (first, second) = (RunnerId::new(), RunnerId::new());
    assert_eq!([orchestrator.beat(first).await, orchestrator.beat(second).await], [ALIVE; 2]);
    orchestrator.introduced(first, &Introduction::default()).await;
    let introduced = HeartbeatReply::Alive { cancel: Vec::new(), is_introduced: true };
    assert_eq!([orchestrator.beat(first).await, orchestrator.beat(second).await], [introduced, ALIVE]);
    orchestrator.purge().await.expect("purge");
    assert_eq!(orchestrator.beat(first).await, ALIVE, "it has to say it again");
}

async fn introductions_are_listed(orchestrator: Given) {
    let (known, unknown) = (RunnerId::new(), RunnerId::new());
    let introduction = Introduction { queues: vec![queue(), "other".into()], tasks: vec![task()], slots: 64 };
    orchestrator.introduced(unknown, &introduction).await;
    assert_eq!(orchestrator.listed().await, []);
    assert_eq!(orchestrator.beat(unknown).await, ALIVE);
    orchestrator.beat(known).await;
    orchestrator.introduced(known, &introduction).await;
    let lively = Introduction { slots: 8, ..introduction };
    orchestrator.introduced(known, &lively).await;
    let mut listed: Vec<_> = orchestrator.listed().await.into_iter().map(|it| (it.id, it.introduction)).collect();
    listed.sort_unstable_by_key(|(id, _)| *id);
    let mut expected = [(unknown, None), (known, Some(lively))];
    expected.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(listed, expected);
}

async fn silence_starts_an_amnesty(orchestrator: Given) {
    let (dead, alive) = (RunnerId::new(), RunnerId::new());
    orchestrator.beat(alive).await;
    orchestrator.beat(dead).await;
    let running = orchestrator.running(dead).await;
    orchestrator.advance(SECOND * 60).await;
    orchestrator.beat(alive).await;
    assert_eq!(orchestrator.lost().await, [], "nobody was heard: it may have been the store");
    orchestrator.lives(alive, 1).await;
    assert_eq!(orchestrator.lost().await, []);
    orchestrator.lives(alive, 1).await;
    assert_eq!(orchestrator.lost().await, [(dead, running.id)], "two intervals are over");
}

async fn runners_are_listed(orchestrator: Given) {
    let (first, second) = (RunnerId::new(), RunnerId::new());
    orchestrator.beat(first).await;
    orchestrator.beat(second).await;
    orchestrator.running(first).await;
    let done = orchestrator.running(first).await;
    orchestrator.succeeded(&done).await;
    let mut listed: Vec<_> = orchestrator.listed().await.iter().map(|info| (info.id, info.owned)).collect();
    listed.sort_unstable();
    let mut expected = [(first, 1), (second, 0)];
    expected.sort_unstable();
    assert_eq!(listed, expected);
}

async fn leaving_retires(orchestrator: Given) {
    let runner = RunnerId::new();
    orchestrator.beat(runner).await;
    let running = orchestrator.running(runner).await;
    orchestrator.leave(runner).await.expect("leave");
    assert_eq!(orchestrator.lost().await, [(runner, running.id)], "its first heartbeat's amnesty isn't for it");
    assert_eq!(orchestrator.beat(runner).await, HeartbeatReply::Retired);
    assert!(orchestrator.listed().await[0].retired);
}

async fn lapsed_is_retired(orchestrator: Given) {
    let (dead, alive) = (RunnerId::new(), RunnerId::new());
    orchestrator.beat(alive).await;
    orchestrator.lives(alive, 1).await;
    orchestrator.beat(dead).await;
    let running = orchestrator.running(dead).await;
    orchestrator.lives(alive, 2).await;
    assert_eq!(orchestrator.lost().await, [], "its lease isn't over");
    orchestrator.lives(alive, 1).await;
    assert_eq!(orchestrator.lost().await, [(dead, running.id)]);
    assert_eq!(orchestrator.beat(dead).await, HeartbeatReply::Retired);
}

async fn owned_by_retired_is_listed(orchestrator: Given) {
    let runner = RunnerId::new();
    orchestrator.beat(runner).await;
    let (first, second) = (orchestrator.running(runner).await, orchestrator.running(runner).await);
    orchestrator.leave(runner).await.expect("leave");
    assert_eq!(orchestrator.expired(1).await.expect("expired").len(), 1);
    let recover = Change::new(Status::Rerouted, By::System, Reason::OwnerLost);
    orchestrator.done(&first, recover.clone()).await;
    assert_eq!(orchestrator.lost().await, [(runner, second.id)]);
    orchestrator.done(&second, recover).await;
    assert_eq!(orchestrator.lost().await, []);
    assert_eq!(orchestrator.listed().await, []);
}

async fn amnesty_holds(orchestrator: Given) {
    let (dead, alive) = (RunnerId::new(), RunnerId::new());
    orchestrator.beat(dead).await;
    let running = orchestrator.running(dead).await;
    orchestrator.advance(SECOND * 20).await;
    orchestrator.beat(alive).await;
    orchestrator.advance(SECOND * 9).await;
    assert_eq!(orchestrator.lost().await, []);
    assert_eq!(orchestrator.beat(dead).await, ALIVE, "it has until the end of the amnesty");
    orchestrator.advance(SECOND).await;
    assert_eq!(orchestrator.lost().await, []);
    assert_eq!(orchestrator.status(running.id).await, Status::Running);
}

async fn silence_is_the_stores(orchestrator: Given) {
    let (first, second) = (RunnerId::new(), RunnerId::new());
    orchestrator.beat(first).await;
    orchestrator.beat(second).await;
    let running = orchestrator.running(first).await;
    orchestrator.advance(SECOND * 30).await;
    assert_eq!(orchestrator.lost().await, [], "who asks first after a stall takes nobody's work");
    assert_eq!(orchestrator.beat(second).await, ALIVE);
    assert_eq!(orchestrator.beat(first).await, ALIVE);
    orchestrator.lives(first, 3).await;
    assert_eq!(orchestrator.lost().await, []);
    assert_eq!(orchestrator.status(running.id).await, Status::Running);
}

async fn lease_is_for_one(orchestrator: Given) {
    let (first, second) = (RunnerId::new(), RunnerId::new());
    assert!(orchestrator.holds(first, 10).await);
    assert!(!orchestrator.holds(second, 10).await);
    assert!(orchestrator.lease("else", second, SECOND).await.expect("lease"), "services are apart");
    orchestrator.advance(SECOND * 6).await;
    assert!(orchestrator.holds(first, 10).await);
    orchestrator.advance(SECOND * 6).await;
    assert!(!orchestrator.holds(second, 10).await);
    orchestrator.advance(SECOND * 4).await;
    assert!(orchestrator.holds(second, 10).await);
    assert!(!orchestrator.holds(first, 10).await);
}

async fn lease_is_given_back(orchestrator: Given) {
    let (first, second) = (RunnerId::new(), RunnerId::new());
    assert!(orchestrator.holds(first, 10).await);
    orchestrator.holds(second, 0).await;
    assert!(!orchestrator.holds(second, 10).await, "it wasn't the other's to give");
    orchestrator.holds(first, 0).await;
    assert!(orchestrator.holds(second, 10).await);
}
