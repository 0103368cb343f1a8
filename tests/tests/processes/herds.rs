//! Very many at once. `PYNENC_WHOLE_TABLE=1` makes the herds ten times as large.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pynenc::core::RunnerId;
use pynenc::core::orchestrator::{Claim, Heartbeat};
use pynenc::prelude::*;
use pynenc_tests::work::noted;

use crate::fleet::{Fleet, until};

/// How long others may wait for an answer meanwhile, but for one in a hundred.
const PATIENCE: Duration = Duration::from_millis(50);
/// Beside other tests all take turns on few cores, and a wait isn't the server's alone.
const IN_COMPANY: u32 = 5;

fn is_whole_table() -> bool {
    std::env::var_os("PYNENC_WHOLE_TABLE").is_some()
}

fn times_ten(count: usize) -> usize {
    if is_whole_table() { 10 * count } else { count }
}

/// Somebody else, who asks the server for a sign of life each millisecond.
struct Bystander {
    stop: mpsc::Sender<()>,
    waits: JoinHandle<Vec<Duration>>,
}

impl Bystander {
    fn of(fleet: &Fleet) -> Self {
        let (stop, stopped) = mpsc::channel();
        let mut link = TcpStream::connect(("127.0.0.1", fleet.server.port())).unwrap();
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
        println!("{} answers, 99 of 100 within {p99:?}, the last after {longest:?}", waits.len());
        let bound = if is_whole_table() { PATIENCE } else { PATIENCE * IN_COMPANY };
        assert!(p99 <= bound, "99 of 100 answers came within {p99:?}");
    }
}

async fn all_succeed(app: &Pynenc, count: usize) {
    let begun = Instant::now();
    while app.count(Status::Success).await.unwrap() < count as u64 {
        let ended = app.count(Status::Success).await.unwrap();
        assert!(begun.elapsed() < minutes(3), "{ended} of {count}");
        tokio::time::sleep(millis(50)).await;
    }
}

const ROOM: &[(&str, &str)] = &[("RUNNER__CONCURRENCY", "256")];

#[tokio::test]
async fn a_herd_that_is_due_in_the_same_millisecond_keeps_nobody_waiting() {
    let (fleet, count) = (Fleet::new(), times_ten(2000));
    let (app, bystander) = (fleet.client().await, Bystander::of(&fleet));
    let due = std::time::SystemTime::now() + secs(2);
    app.submit_all((0..count).map(|_| noted("herd".into()).at(due))).await.unwrap();
    let _workers = [fleet.worker_with(ROOM), fleet.worker_with(ROOM)];
    all_succeed(&app, count).await;
    assert_eq!(fleet.ledger().count("begin herd"), count);
    bystander.never_waited_long();
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_batch_of_very_many_is_submitted_in_pieces() {
    let (fleet, count) = (Fleet::new(), times_ten(10_000));
    let (app, bystander) = (fleet.client().await, Bystander::of(&fleet));
    let group = app.submit_all((0..count).map(|_| noted("herd".into()))).await.unwrap();
    assert_eq!((group.len() as u64, app.count(Status::Registered).await.unwrap()), (count as u64, count as u64));
    app.cancel_all(&group.invocations().iter().map(Invocation::id).collect::<Vec<_>>()).await.unwrap();
    bystander.never_waited_long();
    fleet.holds(&app).await;
}

#[tokio::test]
async fn the_many_orphans_of_a_lost_runner_are_recovered_in_pieces() {
    let (fleet, count) = (Fleet::new(), times_ten(1000));
    let (app, bystander) = (fleet.client().await, Bystander::of(&fleet));
    let group = app.submit_all((0..count).map(|_| noted("orphan".into()))).await.unwrap();
    let orchestrator = &app.parts().orchestrator;
    let (runner, description) = (RunnerId::new(), "a runner that will be lost".into());
    let heartbeat = Heartbeat { runner, lease: millis(500), interval: millis(200), description };
    orchestrator.heartbeat(&heartbeat).await.unwrap();
    let ids: Vec<_> = group.invocations().iter().map(Invocation::id).collect();
    for ids in ids.chunks(500) {
        orchestrator.claim(&Claim::new(ids.to_vec(), runner)).await.unwrap();
    }
    assert_eq!(app.count(Status::Pending).await.unwrap(), count as u64);
    let _workers = [fleet.worker_with(ROOM), fleet.worker_with(ROOM)];
    until("all of them are recovered", async || orchestrator.owned(runner).await.unwrap().is_empty()).await;
    all_succeed(&app, count).await;
    assert_eq!(fleet.ledger().count("begin orphan"), count, "none ran twice");
    bystander.never_waited_long();
    fleet.holds(&app).await;
}

#[tokio::test]
async fn what_very_many_leave_behind_is_gone_when_their_retention_is_over() {
    let (fleet, count) = (Fleet::new(), times_ten(2000));
    let short = [("RETENTION__RESULTS", "1s"), ("RETENTION__FAILURES", "1s"), ("RETENTION__INTERVAL", "200ms")];
    let settings = [ROOM, &short].concat();
    let (app, bystander) = (fleet.client_with(&short).await, Bystander::of(&fleet));
    let _workers = [fleet.worker_with(&settings), fleet.worker_with(&settings)];
    let keys = || fleet.server.command(&["DBSIZE"]).trim().parse::<usize>().unwrap();
    app.submit(noted("first".into())).await.unwrap().result().await.unwrap();
    let forgotten =
        async || app.count(Status::Success).await.unwrap() + app.count(Status::Registered).await.unwrap() == 0;
    until("the first is forgotten", forgotten).await;
    let before = keys();
    app.submit_all((0..count).map(|_| noted("herd".into()))).await.unwrap();
    let begun = Instant::now();
    while fleet.ledger().count("begin herd") < count || !forgotten().await || keys() > before + 2 {
        assert!(begun.elapsed() < Duration::from_secs(120), "{} keys, {before} before", keys());
        tokio::time::sleep(millis(50)).await;
    }
    bystander.never_waited_long();
}
