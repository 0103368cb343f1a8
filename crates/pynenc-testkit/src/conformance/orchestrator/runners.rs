//! Trials of runners and their leases.

use std::collections::BTreeMap;

use pynenc_core::orchestrator::{HeartbeatReply, Introduction, RunnerInfo};
use pynenc_core::status::{By, Change};
use pynenc_core::{InvocationId, Reason, RunnerId, Status};

use super::super::sample::{SECOND, queue, task};
use super::super::trials;
use super::given::Given;

trials! { pub(super) Given:
    "a heartbeat makes the runner known" => heartbeat_makes_known,
    "a heartbeat of a retired runner is answered with `Retired`" => retired_is_answered,
    "a heartbeat that follows half a lease without any heartbeat starts an amnesty of two intervals" => silence_starts_an_amnesty,
    "a reply to a heartbeat says whether the store has the runner's introduction" => replies_ask_for_introductions,
    "a heartbeat brings an introduction, which is listed until a later one replaces it" => introductions_are_listed,
    "a heartbeat with a lease of zero retires the runner at once, amnesty or not" => last_heartbeat_retires,
    "runners are listed with the number of invocations they own" => runners_are_listed,
    "a runner whose lease has expired is retired in the same step" => expired_is_retired,
    "an invocation of a retired runner is listed until it has another owner or none" => owned_by_retired_is_listed,
    "during an amnesty no lease expires" => amnesty_holds,
    "no lease expires after half of it has passed without any heartbeat, because the store may have stalled" => stalls_expire_no_lease,
    "one runner has a lease until the lease expires or is released, and the runner may renew it" => lease_is_exclusive,
    "a lease of zero length releases it" => lease_is_released,
}

const ALIVE: HeartbeatReply = HeartbeatReply::Alive { cancel: Vec::new(), is_introduced: false };

impl Given {
    async fn listed(&self) -> Vec<RunnerInfo> {
        self.runners().await.expect("runners")
    }

    async fn introductions(&self) -> BTreeMap<RunnerId, Option<Introduction>> {
        self.listed().await.into_iter().map(|runner| (runner.id, runner.introduction)).collect()
    }

    async fn lost(&self) -> Vec<(RunnerId, InvocationId)> {
        let expired = self.retire_expired(100).await.expect("retire_expired");
        expired.into_iter().map(|(runner, tracked)| (runner, tracked.id)).collect()
    }

    /// Advances the time, with a heartbeat of `runner` every five seconds.
    async fn lives(&self, runner: RunnerId, beats: u32) {
        for _ in 0..beats {
            self.advance(SECOND * 5).await;
            assert!(matches!(self.beat(runner).await, HeartbeatReply::Alive { .. }));
        }
    }

    async fn holds(&self, runner: RunnerId, seconds: u32) -> bool {
        self.acquire_lease("testkit", runner, SECOND * seconds).await.expect("acquire_lease")
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

async fn retired_is_answered(orchestrator: Given) {
    let (dead, alive) = (RunnerId::new(), RunnerId::new());
    orchestrator.beat(dead).await;
    orchestrator.lives(alive, 4).await;
    assert_eq!(orchestrator.lost().await, []);
    assert_eq!(orchestrator.beat(dead).await, HeartbeatReply::Retired);
    assert_eq!(orchestrator.listed().await.len(), 1, "a retired runner without invocations isn't listed");
    orchestrator.lives(alive, 10).await;
    orchestrator.lost().await;
    assert_eq!(orchestrator.beat(dead).await, HeartbeatReply::Retired, "its next heartbeat is answered with `Retired`");
}

async fn replies_ask_for_introductions(orchestrator: Given) {
    let (first, second) = (RunnerId::new(), RunnerId::new());
    assert_eq!([orchestrator.beat(first).await, orchestrator.beat(second).await], [ALIVE; 2]);
    let introduced = HeartbeatReply::Alive { cancel: Vec::new(), is_introduced: true };
    assert_eq!(orchestrator.beat_with(first, Some(Introduction::default())).await, introduced);
    assert_eq!([orchestrator.beat(first).await, orchestrator.beat(second).await], [introduced, ALIVE]);
    orchestrator.purge().await.expect("purge");
    assert_eq!(orchestrator.beat(first).await, ALIVE, "a purge deletes introductions");
}

async fn introductions_are_listed(orchestrator: Given) {
    let (first, second, retired) = (RunnerId::new(), RunnerId::new(), RunnerId::new());
    let introduction = Introduction { queues: vec![queue(), "other".into()], tasks: vec![task()], slots: 64 };
    orchestrator.beat(first).await;
    orchestrator.beat_with(second, Some(introduction.clone())).await;
    orchestrator.beat(second).await;
    assert_eq!(
        orchestrator.introductions().await,
        BTreeMap::from([(first, None), (second, Some(introduction.clone()))])
    );
    let changed = Introduction { slots: 8, ..introduction.clone() };
    orchestrator.beat_with(second, Some(changed.clone())).await;
    orchestrator.retire(retired).await;
    assert_eq!(orchestrator.beat_with(retired, Some(introduction)).await, HeartbeatReply::Retired);
    assert_eq!(orchestrator.introductions().await, BTreeMap::from([(first, None), (second, Some(changed))]));
}

async fn silence_starts_an_amnesty(orchestrator: Given) {
    let (dead, alive) = (RunnerId::new(), RunnerId::new());
    orchestrator.beat(alive).await;
    orchestrator.beat(dead).await;
    let running = orchestrator.running(dead).await;
    orchestrator.advance(SECOND * 60).await;
    orchestrator.beat(alive).await;
    assert_eq!(orchestrator.lost().await, [], "without any heartbeat the store may have stalled");
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

async fn last_heartbeat_retires(orchestrator: Given) {
    let runner = RunnerId::new();
    orchestrator.beat(runner).await;
    let running = orchestrator.running(runner).await;
    orchestrator.retire(runner).await;
    assert_eq!(orchestrator.lost().await, [(runner, running.id)], "the amnesty doesn't protect a runner that leaves");
    assert_eq!(orchestrator.beat(runner).await, HeartbeatReply::Retired);
    assert!(orchestrator.listed().await[0].retired);
}

async fn expired_is_retired(orchestrator: Given) {
    let (dead, alive) = (RunnerId::new(), RunnerId::new());
    orchestrator.beat(alive).await;
    orchestrator.lives(alive, 1).await;
    orchestrator.beat(dead).await;
    let running = orchestrator.running(dead).await;
    orchestrator.lives(alive, 2).await;
    assert_eq!(orchestrator.lost().await, [], "its lease hasn't expired");
    orchestrator.lives(alive, 1).await;
    assert_eq!(orchestrator.lost().await, [(dead, running.id)]);
    assert_eq!(orchestrator.beat(dead).await, HeartbeatReply::Retired);
}

async fn owned_by_retired_is_listed(orchestrator: Given) {
    let runner = RunnerId::new();
    orchestrator.beat(runner).await;
    let (first, second) = (orchestrator.running(runner).await, orchestrator.running(runner).await);
    orchestrator.retire(runner).await;
    assert_eq!(orchestrator.retire_expired(1).await.expect("retire_expired").len(), 1);
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
    assert_eq!(orchestrator.beat(dead).await, ALIVE, "it may send heartbeats until the end of the amnesty");
    orchestrator.advance(SECOND).await;
    assert_eq!(orchestrator.lost().await, []);
    assert_eq!(orchestrator.status(running.id).await, Status::Running);
}

async fn stalls_expire_no_lease(orchestrator: Given) {
    let (first, second) = (RunnerId::new(), RunnerId::new());
    orchestrator.beat(first).await;
    orchestrator.beat(second).await;
    let running = orchestrator.running(first).await;
    orchestrator.advance(SECOND * 30).await;
    assert_eq!(orchestrator.lost().await, [], "the first call after a stall retires no runner");
    assert_eq!(orchestrator.beat(second).await, ALIVE);
    assert_eq!(orchestrator.beat(first).await, ALIVE);
    orchestrator.lives(first, 3).await;
    assert_eq!(orchestrator.lost().await, []);
    assert_eq!(orchestrator.status(running.id).await, Status::Running);
}

async fn lease_is_exclusive(orchestrator: Given) {
    let (first, second) = (RunnerId::new(), RunnerId::new());
    assert!(orchestrator.holds(first, 10).await);
    assert!(!orchestrator.holds(second, 10).await);
    assert!(
        orchestrator.acquire_lease("else", second, SECOND).await.expect("acquire_lease"),
        "leases of different services are independent"
    );
    orchestrator.advance(SECOND * 6).await;
    assert!(orchestrator.holds(first, 10).await);
    orchestrator.advance(SECOND * 6).await;
    assert!(!orchestrator.holds(second, 10).await);
    orchestrator.advance(SECOND * 4).await;
    assert!(orchestrator.holds(second, 10).await);
    assert!(!orchestrator.holds(first, 10).await);
}

async fn lease_is_released(orchestrator: Given) {
    let (first, second) = (RunnerId::new(), RunnerId::new());
    assert!(orchestrator.holds(first, 10).await);
    orchestrator.holds(second, 0).await;
    assert!(!orchestrator.holds(second, 10).await, "only the holder releases the lease");
    orchestrator.holds(first, 0).await;
    assert!(orchestrator.holds(second, 10).await);
}
