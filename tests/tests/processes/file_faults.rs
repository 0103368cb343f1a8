//! Tests with a SQLite file that is locked, has no space, or is moved while workers use it.

use pynenc::Reason;
use pynenc::backends::pynenc_sqlite::rusqlite::Connection;
use pynenc::prelude::*;
use pynenc_tests::worker_tasks::{gated, noted};

use crate::fleet::{Fleet, LEASE, Store, finished_once, result_of, times, until};

/// Appends to the log without a checkpoint.
fn lengthen_log(fleet: &Fleet, bytes: u32) {
    let connection = Connection::open(fleet.path()).unwrap();
    connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    connection.execute_batch("CREATE TABLE filler (content BLOB)").unwrap();
    connection.execute("INSERT INTO filler VALUES (randomblob(?1))", [bytes]).unwrap();
}

#[tokio::test]
async fn workers_keep_outcomes_while_a_file_has_no_space_and_nothing_runs_again() {
    let fleet = Fleet::over(Store::Sqlite);
    let app = fleet.client_with(&[("SQLITE__CHECKPOINT", "off")]).await;
    let worker = fleet.worker_with_limited_files(&[("SQLITE__CHECKPOINT", "off")]);
    let group = app.submit_all((0..8).map(|_| gated("a".into()))).await.unwrap();
    fleet.ledger().reaches(8, "begin a").await;
    lengthen_log(&fleet, 2 << 20);
    // The worker can still write to its own log, which is short.
    if !worker.limit_files(1 << 20) {
        return println!("skipped: this machine can't limit a process' file size");
    }
    fleet.shared.open("a").unwrap();
    fleet.ledger().reaches(8, "end a").await;
    until("the worker's commits fail", async || {
        fleet.logs()[0].1.matches("failed to read or write the SQLite file").count() > 0
    })
    .await;
    tokio::time::sleep(LEASE * 2).await;
    assert_eq!(app.count(Status::Success).await.unwrap(), 0, "the outcomes can't be stored");
    worker.free_files();
    for invocation in group.invocations() {
        assert_eq!(result_of(invocation).await.unwrap(), "a");
        assert_eq!(times(&finished_once(invocation).await, Reason::OwnerLost), 0);
    }
    assert_eq!(fleet.ledger().count("begin a"), 8);
    let next = app.submit(noted("next".into())).await.unwrap();
    assert_eq!(result_of(&next).await.unwrap(), "next");
    fleet.holds(&app).await;
}

#[tokio::test]
async fn workers_continue_when_a_moved_file_is_back() {
    let fleet = Fleet::over(Store::Sqlite);
    let app = fleet.client().await;
    let _worker = fleet.worker();
    let running = app.submit(gated("a".into())).await.unwrap();
    fleet.ledger().reaches(1, "begin a").await;
    let elsewhere = fleet.shared.folder().join("elsewhere.db");
    std::fs::rename(fleet.path(), &elsewhere).unwrap();
    until("the worker notices", async || fleet.logs()[0].1.contains("isn't where it was opened")).await;
    until("the client notices", async || app.submit(noted("refused".into())).await.is_err()).await;
    fleet.shared.open("a").unwrap();
    fleet.ledger().reaches(1, "end a").await;
    std::fs::rename(&elsewhere, fleet.path()).unwrap();
    assert_eq!(result_of(&running).await.unwrap(), "a");
    let next = app.submit(noted("next".into())).await.unwrap();
    assert_eq!(result_of(&next).await.unwrap(), "next");
    assert_eq!(fleet.ledger().count("begin a"), 1);
    fleet.holds(&app).await;
}

#[tokio::test]
async fn workers_find_calls_when_the_sockets_of_all_processes_were_removed() {
    let fleet = Fleet::over(Store::Sqlite);
    let app = fleet.client().await;
    let _worker = fleet.worker();
    let first = app.submit(noted("first".into())).await.unwrap();
    assert_eq!(result_of(&first).await.unwrap(), "first");
    std::fs::remove_dir_all(fleet.shared.folder().join("jobs.db-wake")).unwrap();
    for name in ["second", "third"] {
        let call = app.submit(noted(name.into())).await.unwrap();
        assert_eq!(result_of(&call).await.unwrap(), name);
    }
    fleet.holds(&app).await;
}
