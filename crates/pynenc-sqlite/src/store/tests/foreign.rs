//! Tests of files that somebody else locks, fills, moves, deletes, replaces or migrates while they are open.

use std::fs;

use super::*;

/// A step that does nothing, and whose end waits on the writer's thread until the test lets it go on.
struct Pausing {
    finished: mpsc::Sender<()>,
    goes_on: mpsc::Receiver<()>,
}

impl Step for Pausing {
    fn run(&mut self, _: &mut dyn Transaction) -> Result<()> {
        Ok(())
    }

    fn finished(self: Box<Self>, _: Result<()>) {
        self.finished.send(()).unwrap();
        self.goes_on.recv().unwrap();
    }

    fn durability(&self) -> Durability {
        Durability::Process
    }
}

fn put(key: &'static [u8]) -> (Box<dyn Step>, oneshot::Receiver<Result<()>>) {
    step(move |transaction| transaction.put(Table::Entry, key, b"v"))
}

#[tokio::test]
async fn steps_that_wait_for_a_lock_are_refused_together() {
    let opened = Opened::new().await;
    let other = FileStore::new(opened.store.file.clone(), "other", Arc::new(SystemClock)).await.unwrap();
    let ((finished, is_finished), (go_on, goes_on)) = (mpsc::channel(), mpsc::channel());
    opened.store.write(Box::new(Pausing { finished, goes_on }));
    is_finished.recv().unwrap();
    let foreign = Connection::open(opened.path()).unwrap();
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    let ((first, refused), (second, also_refused)) = (put(b"first"), put(b"second"));
    opened.store.write(first);
    other.write(second);
    go_on.send(()).unwrap();
    assert_eq!(refused.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    // The second step has waited as long as the first one. It doesn't wait once more.
    foreign.execute_batch("ROLLBACK").unwrap();
    assert_eq!(also_refused.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    let (third, accepted) = put(b"third");
    other.write(third);
    accepted.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_full_file_refuses_what_needs_space_and_goes_on_when_there_is_space_again() {
    let opened = Opened::new().await;
    let limit_pages = |pages: u32| {
        opened.store.file.change(move |connection| {
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
        });
    };
    let record = |number: u8| {
        write(&opened.store, move |transaction| {
            transaction.put(Table::Entry, &[number], b"")?;
            transaction.put(Table::Record, &[number], &block(1, 20_000))
        })
    };
    limit_pages(200);
    let mut number = 0;
    let error = loop {
        match record(number).await {
            Ok(()) => number += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::StoreFull);
    assert!(error.to_string().contains("full") && error.to_string().contains("jobs.db"), "{error}");
    let kept = async || {
        read(&opened.store, move |transaction| Ok(transaction.range(Table::Entry, KeyRange::ALL, 1000)?.len()))
            .await
            .unwrap()
    };
    assert_eq!(kept().await, usize::from(number), "the refused step has left nothing, and nothing is deleted");
    // A write that fits into the existing pages still succeeds.
    write(&opened.store, |transaction| transaction.put(Table::Entry, &[0], b"changed")).await.unwrap();
    assert_eq!(record(number).await.unwrap_err().kind(), ErrorKind::StoreFull);
    limit_pages(1_000_000);
    record(number).await.unwrap();
    assert_eq!(kept().await, usize::from(number) + 1);
}

/// Writes until the store refuses to. Returns the error and the number of accepted writes.
async fn refusal(store: &FileStore) -> (Error, u8) {
    for number in 0.. {
        let put = write(store, move |transaction| transaction.put(Table::Record, &[number], b"")).await;
        if let Err(error) = put {
            return (error, number);
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the store accepts every write")
}

#[tokio::test]
async fn a_moved_file_is_not_written_until_it_is_back() {
    let opened = Opened::new().await;
    write(&opened.store, |transaction| transaction.put(Table::Entry, b"k", b"v")).await.unwrap();
    let elsewhere = opened.folder.path().join("elsewhere.db");
    fs::rename(opened.path(), &elsewhere).unwrap();
    let (error, accepted) = refusal(&opened.store).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("moved or deleted") && error.to_string().contains("jobs.db"), "{error}");
    assert!(!opened.path().exists(), "no new file is created");
    fs::rename(&elsewhere, opened.path()).unwrap();
    write(&opened.store, |transaction| transaction.put(Table::Entry, b"l", b"v")).await.unwrap();
    assert_eq!(keys(&opened.store, Unbounded, Unbounded, Ascending, 9).await, ["k", "l"]);
    let last = read(&opened.store, move |transaction| transaction.get(Table::Record, &[accepted.saturating_sub(1)]));
    assert_eq!(last.await.unwrap().is_some(), accepted > 0, "the accepted writes are there");
}

#[tokio::test]
async fn a_replaced_file_and_a_deleted_log_are_not_written() {
    let opened = Opened::new().await;
    let other = Opened::new().await;
    write(&opened.store, |transaction| transaction.put(Table::Entry, b"k", b"v")).await.unwrap();
    fs::rename(other.path(), opened.path()).unwrap();
    let (error, _) = refusal(&opened.store).await;
    assert!(error.to_string().contains("replaced"), "{error}");
    let opened = Opened::new().await;
    write(&opened.store, |transaction| transaction.put(Table::Entry, b"k", b"v")).await.unwrap();
    fs::remove_file(beside(&opened.path(), "-wal")).unwrap();
    let (error, _) = refusal(&opened.store).await;
    assert!(error.to_string().contains("jobs.db-wal"), "{error}");
    // The log is still open: its content is moved into the database when the store is closed.
    drop(opened.store);
    let again = open(&opened.folder, "app").await.unwrap();
    assert_eq!(keys(&again, Unbounded, Unbounded, Ascending, 9).await, ["k"]);
}

#[tokio::test]
async fn a_file_that_a_newer_version_migrates_is_not_written_any_more() {
    let opened = Opened::new().await;
    write(&opened.store, |transaction| transaction.put(Table::Entry, b"k", b"v")).await.unwrap();
    let newer = Connection::open(opened.path()).unwrap();
    newer.execute_batch("BEGIN; CREATE TABLE pynenc_new (a); UPDATE pynenc_schema SET v = 2; COMMIT").unwrap();
    for _ in 0..2 {
        let refused = write(&opened.store, |transaction| transaction.put(Table::Entry, b"l", b"v")).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Config);
        assert!(refused.to_string().contains("version of the file: 2"), "{refused}");
    }
    assert_eq!(keys(&opened.store, Unbounded, Unbounded, Ascending, 9).await, ["k"]);
}

#[tokio::test]
async fn tables_of_another_program_dont_disturb_the_store() {
    let opened = Opened::new().await;
    let foreign = Connection::open(opened.path()).unwrap();
    for table in ["a", "b"] {
        foreign.execute_batch(&format!("CREATE TABLE {table} (a); VACUUM")).unwrap();
        write(&opened.store, |transaction| transaction.put(Table::Entry, b"k", b"v")).await.unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn an_open_store_goes_on_in_a_folder_that_becomes_read_only() {
    use std::os::unix::fs::PermissionsExt;
    let opened = Opened::new().await;
    let allow = |mode| fs::set_permissions(opened.folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    allow(0o555);
    if fs::write(opened.folder.path().join("probe"), "").is_ok() {
        allow(0o755);
        return println!("skipped: permissions don't bind this user");
    }
    write(&opened.store, |transaction| transaction.put(Table::Entry, b"k", b"v")).await.unwrap();
    let config = SqliteConfig::with_path(opened.path().to_str().unwrap());
    let error = super::super::open(&config, Kind::Main, "app", Arc::new(SystemClock)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("the folder doesn't allow that"), "{error}");
    allow(0o755);
    write(&opened.store, |transaction| transaction.put(Table::Entry, b"l", b"v")).await.unwrap();
    assert_eq!(keys(&opened.store, Unbounded, Unbounded, Ascending, 9).await, ["k", "l"]);
}
