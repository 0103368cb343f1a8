//! Tests with very many invocations at once. `PYNENC_WHOLE_TABLE=1` multiplies their number by ten.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pynenc::core::RunnerId;
use pynenc::core::orchestrator::{Claim, Heartbeat};
use pynenc::core::reads;
use pynenc::prelude::*;
use pynenc_tests::worker_tasks::noted;

use crate::fleet::{Fleet, until};

/// The longest wait of another client for 99 of 100 replies.
const PATIENCE: Duration = Duration::from_millis(50);
/// The factor for that wait beside other tests, which compete for few cores.
const SHARED_MACHINE: u32 = 5;

fn is_whole_table() -> bool {
    std::env::var_os("PYNENC_WHOLE_TABLE").is_some()
}

fn times_ten(count: usize) -> usize {
    if is_whole_table() { 10 * count } else { count }
}

/// Another client, which pings the server each millisecond.
struct OtherClient {
    stop: mpsc::Sender<()>,
    waits: JoinHandle<Vec<Duration>>,
}

impl OtherClient {
    fn of(fleet: &Fleet) -> Self {
        let (stop, stopped) = mpsc::channel();
        let mut link = TcpStream::connect(("127.0.0.1", fleet.server().port())).unwrap();
        let waits = std::thread::spawn(move || {
            let mut waits = Vec::new();
            while stopped.recv_timeout(Duration::from_millis(1)) == Err(mpsc::RecvTimeoutError::Timeout) {
                let asked = Instant::now();
                link.write_all(b"PING\r\n").unwrap();
                link.read_exact(&mut [0; 7]).unwrap();
                waits.push(asked.elapsed());
            }
            waits
        });
        Self { stop, waits }
    }

    fn never_waited_long(self) {
        self.stop.send(()).unwrap();
        let mut waits = self.waits.join().unwrap();
        waits.sort_unstable();
        let (p99, longest) = (waits[waits.len() * 99 / 100], waits[waits.len() - 1]);
        println!("{} replies: p99 {p99:?}, longest {longest:?}", waits.len());
        let bound = if is_whole_table() { PATIENCE } else { PATIENCE * SHARED_MACHINE };
        assert!(p99 <= bound, "p99 of the replies is {p99:?}, at most {bound:?} are allowed");
    }
}

async fn all_succeed(app: &Pynenc, count: usize) {
    let begun = Instant::now();
    while app.count(Status::Success).await.unwrap() < count as u64 {
        let finished = app.count(Status::Success).await.unwrap();
        assert!(begun.elapsed() < minutes(3), "{finished} of {count} finished");
        tokio::time::sleep(millis(50)).await;
    }
}

const ROOM: &[(&str, &str)] = &[("RUNNER__CONCURRENCY", "256")];

#[tokio::test]
async fn many_calls_due_in_the_same_millisecond_dont_delay_other_clients() {
    let (fleet, count) = (Fleet::new(), times_ten(2000));
    let (app, other_client) = (fleet.client().await, OtherClient::of(&fleet));
    let due = std::time::SystemTime::now() + secs(2);
    app.submit_all((0..count).map(|_| noted("burst".into()).at(due))).await.unwrap();
    let _workers = [fleet.worker_with(ROOM), fleet.worker_with(ROOM)];
    all_succeed(&app, count).await;
    assert_eq!(fleet.ledger().count("begin burst"), count);
    other_client.never_waited_long();
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_huge_batch_is_submitted_in_chunks() {
    let (fleet, count) = (Fleet::new(), times_ten(10_000));
    let (app, other_client) = (fleet.client().await, OtherClient::of(&fleet));
    let group = app.submit_all((0..count).map(|_| noted("burst".into()))).await.unwrap();
    assert_eq!((group.len() as u64, app.count(Status::Registered).await.unwrap()), (count as u64, count as u64));
    app.cancel_all(&group.invocations().iter().map(Invocation::id).collect::<Vec<_>>()).await.unwrap();
    other_client.never_waited_long();
    fleet.holds(&app).await;
}

#[tokio::test]
async fn many_invocations_of_a_lost_runner_are_recovered_in_chunks() {
    let (fleet, count) = (Fleet::new(), times_ten(1000));
    let (app, other_client) = (fleet.client().await, OtherClient::of(&fleet));
    let group = app.submit_all((0..count).map(|_| noted("orphan".into()))).await.unwrap();
    let orchestrator = &app.parts().orchestrator;
    let (runner, description) = (RunnerId::new(), "a runner that will be lost".into());
    let heartbeat = Heartbeat { runner, lease: millis(500), interval: millis(200), description, introduction: None };
    orchestrator.heartbeat(&heartbeat).await.unwrap();
    let ids: Vec<_> = group.invocations().iter().map(Invocation::id).collect();
    for ids in ids.chunks(500) {
        orchestrator.claim(&Claim::new(ids.to_vec(), runner)).await.unwrap();
    }
    assert_eq!(app.count(Status::Pending).await.unwrap(), count as u64);
    let _workers = [fleet.worker_with(ROOM), fleet.worker_with(ROOM)];
    until("all invocations are recovered", async || reads::owned(&**orchestrator, runner).await.unwrap().is_empty())
        .await;
    all_succeed(&app, count).await;
    assert_eq!(fleet.ledger().count("begin orphan"), count, "no invocation runs twice");
    other_client.never_waited_long();
    fleet.holds(&app).await;
}

#[tokio::test]
async fn many_finished_invocations_leave_no_keys_after_their_retention() {
    let (fleet, count) = (Fleet::new(), times_ten(2000));
    let short = [("RETENTION__RESULTS", "1s"), ("RETENTION__FAILURES", "1s"), ("RETENTION__INTERVAL", "200ms")];
    let settings = [ROOM, &short].concat();
    let (app, other_client) = (fleet.client_with(&short).await, OtherClient::of(&fleet));
    let _workers = [fleet.worker_with(&settings), fleet.worker_with(&settings)];
    let keys = || fleet.server().command(&["DBSIZE"]).trim().parse::<usize>().unwrap();
    app.submit(noted("first".into())).await.unwrap().result().await.unwrap();
    let is_empty =
        async || app.count(Status::Success).await.unwrap() + app.count(Status::Registered).await.unwrap() == 0;
    until("the first invocation is forgotten", is_empty).await;
    let before = keys();
    app.submit_all((0..count).map(|_| noted("burst".into()))).await.unwrap();
    let begun = Instant::now();
    while fleet.ledger().count("begin burst") < count || !is_empty().await || keys() > before + 2 {
        assert!(begun.elapsed() < Duration::from_secs(120), "{} keys, {before} before", keys());
        tokio::time::sleep(millis(50)).await;
    }
    other_client.never_waited_long();
}
