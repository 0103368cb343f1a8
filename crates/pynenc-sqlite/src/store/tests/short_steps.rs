//! Tests of the thread that performs a step.

use std::thread::{self, ThreadId};
use std::time::Duration;

use super::*;

fn write_now(store: &FileStore, durability: Durability, items: usize) -> oneshot::Receiver<Result<ThreadId>> {
    let (step, result) = sized_step(durability, items, |transaction| {
        transaction.put(Table::Entry, b"k", b"v")?;
        Ok(thread::current().id())
    });
    store.write(step);
    result
}

fn is_own(thread: Result<ThreadId>) -> bool {
    thread.unwrap() == thread::current().id()
}

/// Whether a step is finished at once. From time to time, the writer's thread uses the connection for itself.
fn is_finished_at_once(mut start: impl FnMut() -> oneshot::Receiver<Result<ThreadId>>) -> bool {
    (0..100).any(|_| {
        thread::sleep(Duration::from_millis(1));
        start().try_recv().is_ok_and(is_own)
    })
}

#[tokio::test]
async fn a_short_step_is_performed_at_once_unless_it_waits_for_the_disk() {
    let opened = Opened::new().await;
    assert!(is_finished_at_once(|| write_now(&opened.store, Durability::Process, 1)));
    // The commit of this step syncs the disk.
    assert!(!is_own(write_now(&opened.store, Durability::Power, 1).await.unwrap()));
    assert!(!is_own(write_now(&opened.store, Durability::Process, 1_000).await.unwrap()));
    assert!(is_finished_at_once(|| {
        let (step, result) = sized_step(Durability::Process, 1, |transaction| {
            transaction.get(Table::Entry, b"k")?;
            Ok(thread::current().id())
        });
        opened.store.read(step);
        result
    }));
}

#[tokio::test]
async fn a_short_step_overtakes_no_step_that_waits_for_a_lock() {
    let opened = Opened::new().await;
    let foreign = Connection::open(opened.path()).unwrap();
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (long, first) = step(|transaction| transaction.put(Table::Entry, b"k", b"first"));
    let (short, second) = sized_step(Durability::Process, 1, |transaction| transaction.get(Table::Entry, b"k"));
    opened.store.write(long);
    opened.store.write(short);
    foreign.execute_batch("COMMIT").unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(second.await.unwrap().unwrap(), Some(b"first".to_vec()));
}

#[tokio::test]
async fn a_short_step_leaves_the_wait_for_a_lock_to_another_thread() {
    let opened = Opened::new().await;
    let foreign = Connection::open(opened.path()).unwrap();
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    let short = write_now(&opened.store, Durability::Process, 1);
    foreign.execute_batch("COMMIT").unwrap();
    assert!(!is_own(short.await.unwrap()));
}
