//! Data of one invocation that can't be read. It stops nothing but its own invocation.

use std::time::Duration;

use pynenc_core::lane::Submission;
use pynenc_core::orchestrator::{Claim, ClaimReply, Find, Heartbeat, HeartbeatReply, Tracked};
use pynenc_core::{ErrorKind, InvocationId, RunnerId};
use pynenc_kv::Table;
use pynenc_testkit::conformance::sample::{pop, settlement, submission};

use crate::World;

const LEASE: Duration = Duration::from_secs(15);

/// Submits two calls. Returns the ids of the first one, which will be damaged, and of the other one.
async fn two(world: &World) -> (Submission, InvocationId) {
    let (damaged, sound) = (submission(), submission());
    let id = sound.registration.id;
    world.lane.submit(vec![damaged.clone(), sound]).await.expect("submit");
    (damaged, id)
}

fn damage(world: &World, table: Table, id: InvocationId) {
    world.map.set(table, id.as_bytes(), vec![1, 255]);
}

async fn claimed(world: &World, runner: RunnerId) -> Vec<Tracked> {
    let claim = Claim::new(Vec::new(), runner).running_below(1);
    let claimed = world.lane.claim(&claim, Some(&pop(10))).await.expect("claim");
    let granted = claimed.into_iter().filter_map(|one| match one.reply {
        ClaimReply::Granted(tracked) => Some(tracked),
        _ => None,
    });
    granted.collect()
}

fn heartbeat(runner: RunnerId) -> Heartbeat {
    Heartbeat { runner, lease: LEASE, interval: LEASE / 3, description: "test".into(), introduction: None }
}

#[tokio::test]
async fn an_unreadable_entry_is_claimed_by_nobody_and_the_others_are() {
    let world = World::new();
    let (damaged, sound) = two(&world).await;
    damage(&world, Table::Entry, damaged.registration.id);
    let granted = claimed(&world, RunnerId::new()).await;
    assert_eq!(granted.iter().map(|one| one.id).collect::<Vec<_>>(), [sound]);
    let listed = world.orchestrator.find(&Find { limit: 10, ..Find::default() }).await.expect("find").items;
    assert_eq!(listed.iter().map(|one| one.id).collect::<Vec<_>>(), [sound]);
    let error = world.orchestrator.records(&[damaged.registration.id]).await.expect_err("it is damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_batch_with_an_unreadable_entry_does_the_rest() {
    let world = World::new();
    let (damaged, _) = two(&world).await;
    let running = claimed(&world, RunnerId::new()).await;
    assert_eq!(running.len(), 2);
    damage(&world, Table::Entry, damaged.registration.id);
    let corrupt = |error: &pynenc_core::Error| error.kind() == ErrorKind::Corrupt;
    let settled = world.lane.settle(running.iter().map(settlement).collect()).await.expect("settle");
    for (one, reply) in running.iter().zip(settled) {
        assert_eq!(reply.as_ref().is_err_and(corrupt), one.id == damaged.registration.id, "{reply:?}");
    }
    let replies = world.lane.submit(vec![damaged, submission()]).await.expect("submit");
    assert!(replies[0].as_ref().is_err_and(corrupt) && replies[1].is_ok(), "{replies:?}");
}

#[tokio::test]
async fn a_runner_that_owns_an_unreadable_entry_keeps_its_lease_and_its_others_are_recovered() {
    let world = World::new();
    let (damaged, sound) = two(&world).await;
    let (runner, other) = (RunnerId::new(), RunnerId::new());
    world.orchestrator.heartbeat(&heartbeat(runner)).await.expect("heartbeat");
    claimed(&world, runner).await;
    damage(&world, Table::Entry, damaged.registration.id);
    let beat = world.orchestrator.heartbeat(&heartbeat(runner)).await.expect("heartbeat");
    assert!(matches!(beat, HeartbeatReply::Alive { .. }), "{beat:?}");
    for _ in 0..8 {
        world.clock.advance(LEASE / 3);
        world.orchestrator.heartbeat(&heartbeat(other)).await.expect("heartbeat");
    }
    let lost = world.orchestrator.retire_expired(10).await.expect("retire");
    assert_eq!(lost.iter().map(|(_, one)| one.id).collect::<Vec<_>>(), [sound]);
}

#[tokio::test]
async fn an_unreadable_finished_invocation_doesnt_stop_the_retention_of_others() {
    let world = World::new();
    let (damaged, sound) = two(&world).await;
    let running = claimed(&world, RunnerId::new()).await;
    world.lane.settle(running.iter().map(settlement).collect()).await.expect("settle");
    damage(&world, Table::Entry, damaged.registration.id);
    world.clock.advance(Duration::from_secs(365 * 86_400));
    let outlived = world.orchestrator.outlived(10, LEASE).await.expect("outlived");
    assert_eq!(outlived, [sound]);
}

#[tokio::test]
async fn an_unreadable_record_counts_as_missing_and_can_be_deleted() {
    let world = World::new();
    let (damaged, sound) = two(&world).await;
    damage(&world, Table::Record, damaged.registration.id);
    let claim = Claim::new(Vec::new(), RunnerId::new());
    let claimed = world.lane.claim(&claim, Some(&pop(10))).await.expect("claim");
    assert_eq!(claimed.len(), 2);
    assert!(claimed.iter().all(|one| one.record.is_some() == (one.id == sound)), "{claimed:?}");
    let ids = [damaged.registration.id, sound];
    let read = world.state.invocations(&ids).await.expect("invocations");
    assert!(read[0].is_none() && read[1].is_some());
    world.state.forget(&ids).await.expect("forget");
    let left = world.map.tables();
    assert!(!left.contains_key(&Table::Record) && !left.contains_key(&Table::RecordAge), "{left:?}");
}
