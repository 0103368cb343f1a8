//! Tests of concurrency limits while worker processes are killed. A monitor outside of the store counts the running
//! tasks.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::process::Command;

use pynenc::Reason;
use pynenc::prelude::*;
use pynenc_testkit::{RedisServer, TestProcess};
use pynenc_tests::concurrency_monitor::{ConcurrencyMonitor, holds_slot};

const ACCOUNTS: u32 = 3;
const CALLS: u32 = 60;

fn start_worker(server: &RedisServer, monitor: &ConcurrencyMonitor) -> TestProcess {
    let mut command = Command::new(env!("CARGO_BIN_EXE_limited-worker"));
    command.args([server.url(), monitor.address().to_string()]);
    command.env("PYNENC__RUNNER__LEASE", "1s").env("PYNENC__RUNNER__HEARTBEAT_INTERVAL", "250ms");
    command.env("PYNENC__RUNNER__SWEEP_INTERVAL", "250ms").env("PYNENC__RUNNER__CONCURRENCY", "8");
    TestProcess::start(&mut command)
}

/// Releases each holder, and kills the processes of two of them that still hold a slot. Runs until all calls have
/// finished.
async fn serve(
    monitor: &mut ConcurrencyMonitor,
    workers: &mut Vec<TestProcess>,
    calls: &InvocationGroup<holds_slot>,
) -> HashSet<u32> {
    let (mut count, mut killed) = (0_u32, HashSet::new());
    let mut finished = std::pin::pin!(all_finished(calls));
    loop {
        let holder = tokio::select! {
            () = &mut finished => return killed,
            holder = monitor.next() => holder.unwrap(),
        };
        count += 1;
        if count.is_multiple_of(15) && killed.len() < 2 && killed.insert(holder.process) {
            workers.retain(|worker| worker.id() != holder.process);
        }
        holder.release();
    }
}

async fn all_finished(calls: &InvocationGroup<holds_slot>) {
    for (n, invocation) in (0..).zip(calls.invocations()) {
        assert_eq!(invocation.result_timeout(minutes(1)).await.unwrap(), n);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_slot_holders_are_rerun_within_the_limit() {
    let (server, mut monitor) = (RedisServer::start(), ConcurrencyMonitor::open().await.unwrap());
    let app = Pynenc::builder().without_config_file().environment([]).without_linked_tasks().tasks(tasks![holds_slot]);
    let app = app.redis(&server.url()).build().await.unwrap();
    let calls = app.submit_all((0..CALLS).map(|n| holds_slot(n % ACCOUNTS, n))).await.unwrap();
    let mut workers: Vec<_> = (0..4).map(|_| start_worker(&server, &monitor)).collect();
    let killed = serve(&mut monitor, &mut workers, &calls).await;
    assert_eq!((killed.len(), workers.len()), (2, 2));
    let holders = monitor.holders();
    assert!(holders.len() == ACCOUNTS as usize && holders.values().all(|holders| holders.most <= 2), "{holders:?}");
    assert!(recovered(calls.invocations()).await >= 2, "each killed process held a slot");
}

/// The number of invocations that ran again because their owner was lost.
async fn recovered(invocations: &[Invocation<holds_slot>]) -> usize {
    let mut recovered = 0;
    for invocation in invocations {
        let history = invocation.history().await.unwrap();
        recovered += usize::from(history.iter().any(|line| line.reason == Reason::OwnerLost));
    }
    recovered
}
