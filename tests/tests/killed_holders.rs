//! Slots of concurrency while worker processes are killed: each body is counted by a turnstile outside of the store.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::process::{Child, Command};

use pynenc::Reason;
use pynenc::prelude::*;
use pynenc_testkit::RedisServer;
use pynenc_tests::turnstile::{Turnstile, pass};

const ACCOUNTS: u32 = 3;
const CALLS: u32 = 60;

/// A worker process, killed when it is dropped.
struct Worker(Child);

impl Worker {
    fn start(server: &RedisServer, turnstile: &Turnstile) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_turnstile-worker"));
        command.args([server.url(), turnstile.address().to_string()]);
        command.env("PYNENC__RUNNER__LEASE", "1s").env("PYNENC__RUNNER__HEARTBEAT_INTERVAL", "250ms");
        command.env("PYNENC__RUNNER__SWEEP_INTERVAL", "250ms").env("PYNENC__RUNNER__CONCURRENCY", "8");
        Self(command.spawn().unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets out who comes in, and kills the processes of two of them that are still inside; runs until all calls have ended.
async fn serve(turnstile: &mut Turnstile, workers: &mut Vec<Worker>, calls: &InvocationGroup<pass>) -> HashSet<u32> {
    let (mut visits, mut killed) = (0_u32, HashSet::new());
    let mut ended = std::pin::pin!(all_ended(calls));
    loop {
        let visitor = tokio::select! {
            () = &mut ended => return killed,
            visitor = turnstile.next() => visitor.unwrap(),
        };
        visits += 1;
        if visits.is_multiple_of(15) && killed.len() < 2 && killed.insert(visitor.process) {
            workers.retain(|worker| worker.0.id() != visitor.process);
        }
        visitor.release();
    }
}

async fn all_ended(calls: &InvocationGroup<pass>) {
    for (n, invocation) in (0..).zip(calls.invocations()) {
        assert_eq!(invocation.result_timeout(minutes(1)).await.unwrap(), n);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_holder_leaves_is_run_again_and_no_limit_is_passed() {
    let (server, mut turnstile) = (RedisServer::start(), Turnstile::open().await.unwrap());
    let app = Pynenc::builder().without_config_file().environment([]).without_linked_tasks().tasks(tasks![pass]);
    let app = app.redis(&server.url()).build().await.unwrap();
    let calls = app.submit_all((0..CALLS).map(|n| pass(n % ACCOUNTS, n))).await.unwrap();
    let mut workers: Vec<_> = (0..4).map(|_| Worker::start(&server, &turnstile)).collect();
    let killed = serve(&mut turnstile, &mut workers, &calls).await;
    assert_eq!((killed.len(), workers.len()), (2, 2));
    let inside = turnstile.inside();
    assert!(inside.len() == ACCOUNTS as usize && inside.values().all(|inside| inside.most <= 2), "{inside:?}");
    assert!(recovered(calls.invocations()).await >= 2, "each of the killed held a slot");
}

/// How many were run again because their owner was lost; none of them was dropped.
async fn recovered(invocations: &[Invocation<pass>]) -> usize {
    let mut recovered = 0;
    for invocation in invocations {
        let history = invocation.history().await.unwrap();
        recovered += usize::from(history.iter().any(|line| line.reason == Reason::OwnerLost));
    }
    recovered
}
