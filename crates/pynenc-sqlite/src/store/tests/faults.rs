//! Tests of locked and damaged files and of steps that panic.

use super::*;

#[tokio::test]
async fn a_lock_of_another_connection_is_waited_for() {
    let opened = Opened::new().await;
    let foreign = Connection::open(opened.path()).unwrap();
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (waiting, result) = step(|transaction| transaction.put(Table::Entry, b"k", b"v"));
    opened.store.write(waiting);
    // A read doesn't wait for the lock.
    assert_eq!(read(&opened.store, |transaction| transaction.get(Table::Entry, b"k")).await.unwrap(), None);
    foreign.execute_batch("COMMIT").unwrap();
    result.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_lock_that_is_never_released_makes_the_store_unavailable() {
    let opened = Opened::new().await;
    let foreign = Connection::open(opened.path()).unwrap();
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = write(&opened.store, |transaction| transaction.put(Table::Entry, b"k", b"v")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.to_string().contains("another process has locked"), "{refused}");
    foreign.execute_batch("ROLLBACK").unwrap();
    write(&opened.store, |transaction| transaction.put(Table::Entry, b"k", b"v")).await.unwrap();
}

/// Overwrites the pages of a file behind the first one.
fn damage(path: &Path) {
    use std::io::{Seek, SeekFrom, Write};
    let length = std::fs::metadata(path).unwrap().len();
    let mut file = std::fs::File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(4096)).unwrap();
    file.write_all(&vec![0xA5; usize::try_from(length).unwrap() - 4096]).unwrap();
}

#[tokio::test]
async fn a_damaged_file_stops_the_store_with_advice_and_nothing_is_deleted() {
    let opened = Opened::new().await;
    write(&opened.store, |transaction| transaction.put(Table::Record, b"k", &block(1, 100_000))).await.unwrap();
    let (folder, path) = (opened.folder, opened.store.path().to_owned());
    drop(opened.store);
    damage(&path);
    let length = std::fs::metadata(&path).unwrap().len();
    let error = match open(&folder, "app").await {
        Ok(store) => write(&store, |transaction| transaction.put(Table::Entry, b"k", b"v")).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("damaged") && error.to_string().contains("jobs.db"), "{error}");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), length);
}

#[tokio::test]
async fn a_file_that_becomes_damaged_refuses_every_later_step() {
    let opened = Opened::new().await;
    write(&opened.store, |transaction| transaction.put(Table::Record, b"k", &block(1, 100_000))).await.unwrap();
    let checkpoint = Connection::open(opened.path()).unwrap();
    checkpoint.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    // Another connection of the same process keeps the locks of SQLite when this file is closed: there are none.
    damage(&opened.path());
    let foreign = "CREATE TABLE mine (a)";
    // The pages in the caches are dropped when another connection has committed.
    drop(checkpoint.execute(foreign, []));
    let steps =
        [b"a", b"b"].map(|key| write(&opened.store, move |transaction| transaction.put(Table::Entry, key, b"v")));
    for step in steps {
        assert_eq!(step.await.unwrap_err().kind(), ErrorKind::Config);
    }
}

#[tokio::test]
async fn a_step_that_panics_fails_and_the_store_goes_on() {
    let opened = Opened::new().await;
    let panics = |transaction: &mut dyn Transaction| -> Result<()> {
        drop(transaction.put(Table::Entry, b"k", b"v"));
        panic!("this test panics on purpose")
    };
    assert_eq!(write(&opened.store, panics).await.unwrap_err().kind(), ErrorKind::Unexpected);
    assert_eq!(
        read(&opened.store, |_| -> Result<()> { panic!("again") }).await.unwrap_err().kind(),
        ErrorKind::Unexpected
    );
    let found = write(&opened.store, |transaction| transaction.get(Table::Entry, b"k")).await.unwrap();
    assert_eq!(found, None);
}
