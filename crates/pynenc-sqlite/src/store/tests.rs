//! Tests of the key-value store.

use std::ops::Bound;
use std::path::PathBuf;
use std::sync::mpsc;

use pynenc_core::clock::SystemClock;
use pynenc_core::{Error, ErrorKind};
use pynenc_kv::{Durability, KeyRange, Notice, Order, Table, Transaction};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::*;
use crate::config::Checkpoint;
use crate::location::{absolute, beside};
use crate::maintenance::Maintenance;

type Run<T> = Box<dyn FnMut(&mut dyn Transaction) -> Result<T> + Send>;

/// A step that reports the value of its function.
struct TestStep<T> {
    run: Run<T>,
    value: Option<T>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send> Step for TestStep<T> {
    fn run(&mut self, transaction: &mut dyn Transaction) -> Result<()> {
        self.value = Some((self.run)(transaction)?);
        Ok(())
    }

    fn finished(self: Box<Self>, result: Result<()>) {
        let value = self.value;
        drop(self.reply.send(result.map(|()| value.expect("the step ran"))));
    }

    fn durability(&self) -> Durability {
        Durability::Power
    }
}

fn step<T: Send + 'static>(
    run: impl FnMut(&mut dyn Transaction) -> Result<T> + Send + 'static,
) -> (Box<dyn Step>, oneshot::Receiver<Result<T>>) {
    let (reply, receiver) = oneshot::channel();
    (Box::new(TestStep { run: Box::new(run), value: None, reply }), receiver)
}

async fn write<T: Send + 'static>(
    store: &FileStore,
    run: impl FnMut(&mut dyn Transaction) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (step, result) = step(run);
    store.write(step);
    result.await.expect("the store answers")
}

async fn read<T: Send + 'static>(
    store: &FileStore,
    run: impl FnMut(&mut dyn Transaction) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (step, result) = step(run);
    store.read(step);
    result.await.expect("the store answers")
}

struct Opened {
    folder: TempDir,
    store: Arc<FileStore>,
}

impl Opened {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder, "app").await.unwrap();
        Self { folder, store }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("jobs.db")
    }
}

/// Opens a file without checkpoints.
async fn open_without_checkpoints(path: &Path) -> Arc<FileStore> {
    let (kind, synchronous, checkpoint) = (Kind::Main, Synchronous::Full, Checkpoint::Off);
    let file = File::open(&FileKey { path: path.to_owned(), kind, synchronous, checkpoint }).await.unwrap();
    Arc::new(FileStore::new(Arc::new(file), "app", Arc::new(SystemClock)).await.unwrap())
}

/// Opens a file with connections of its own.
async fn open(folder: &TempDir, app: &str) -> Result<Arc<FileStore>> {
    open_file(&folder.path().join("jobs.db"), Kind::Main, app).await
}

async fn open_file(path: &Path, kind: Kind, app: &str) -> Result<Arc<FileStore>> {
    let path = absolute(path.to_str().unwrap())?;
    let (synchronous, checkpoint) = (Synchronous::Full, Checkpoint::Auto);
    let file = File::open(&FileKey { path, kind, synchronous, checkpoint }).await?;
    Ok(Arc::new(FileStore::new(Arc::new(file), app, Arc::new(SystemClock)).await?))
}

fn range(start: Bound<&[u8]>, end: Bound<&[u8]>, order: Order) -> Vec<(Bound<Vec<u8>>, Bound<Vec<u8>>, Order)> {
    vec![(start.map(<[u8]>::to_vec), end.map(<[u8]>::to_vec), order)]
}

async fn keys(store: &FileStore, start: Bound<&[u8]>, end: Bound<&[u8]>, order: Order, limit: usize) -> Vec<String> {
    let (start, end, order) = range(start, end, order).remove(0);
    let run = move |transaction: &mut dyn Transaction| {
        let range = KeyRange { start: start.as_ref().map(Vec::as_slice), end: end.as_ref().map(Vec::as_slice), order };
        transaction.range(Table::Entry, range, limit)
    };
    let found = read(store, run).await.unwrap();
    found.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
}

#[tokio::test]
async fn a_range_has_its_bounds_its_order_and_its_limit() {
    let opened = Opened::new().await;
    write(&opened.store, |transaction| {
        ["b", "a", "c", "ab"].iter().try_for_each(|key| transaction.put(Table::Entry, key.as_bytes(), &[1]))
    })
    .await
    .unwrap();
    use Bound::{Excluded, Included, Unbounded};
    use Order::{Ascending, Descending};
    let check = async |start, end, order, limit, expected: &[&str]| {
        assert_eq!(keys(&opened.store, start, end, order, limit).await, expected);
    };
    check(Unbounded, Unbounded, Ascending, 9, &["a", "ab", "b", "c"]).await;
    check(Unbounded, Unbounded, Descending, 2, &["c", "b"]).await;
    check(Included(b"a"), Excluded(b"b"), Ascending, 9, &["a", "ab"]).await;
    check(Excluded(b"a"), Included(b"b"), Ascending, 9, &["ab", "b"]).await;
    check(Included(b"c"), Included(b"a"), Ascending, 9, &[]).await;
}

#[tokio::test]
async fn a_transaction_sees_its_own_writes_and_a_value_may_be_empty() {
    let opened = Opened::new().await;
    let found = write(&opened.store, |transaction| {
        transaction.put(Table::Meta, b"a", b"1")?;
        transaction.put(Table::Meta, b"a", b"2")?;
        transaction.put(Table::Meta, b"b", b"")?;
        transaction.put(Table::Meta, b"c", b"3")?;
        transaction.delete(Table::Meta, b"c")?;
        ["a", "b", "c"].iter().map(|key| transaction.get(Table::Meta, key.as_bytes())).collect::<Result<Vec<_>>>()
    });
    assert_eq!(found.await.unwrap(), [Some(b"2".to_vec()), Some(Vec::new()), None]);
    let cleared = write(&opened.store, |transaction| {
        transaction.clear(Table::Meta)?;
        transaction.get(Table::Meta, b"a")
    });
    assert_eq!(cleared.await.unwrap(), None);
}

#[tokio::test]
async fn a_step_that_fails_alone_leaves_the_others_of_its_transaction() {
    let opened = Opened::new().await;
    let steps: Vec<_> = (0..20_u8)
        .map(|number| {
            step(move |transaction| {
                if number % 2 == 1 {
                    return Err(Error::invalid("odd"));
                }
                transaction.put(Table::Entry, &[b'a' + number], b"")
            })
        })
        .collect();
    let mut results = Vec::new();
    for (step, result) in steps {
        opened.store.write(step);
        results.push(result);
    }
    for (number, result) in results.into_iter().enumerate() {
        assert_eq!(result.await.unwrap().is_ok(), number % 2 == 0, "{number}");
    }
    assert_eq!(keys(&opened.store, Bound::Unbounded, Bound::Unbounded, Order::Ascending, 99).await.len(), 10);
}

#[tokio::test]
async fn apps_of_one_file_see_their_own_keys_alone() {
    let opened = Opened::new().await;
    let other = open(&opened.folder, "other").await.unwrap();
    for (store, value) in [(&opened.store, "mine"), (&other, "theirs")] {
        write(store, move |transaction| transaction.put(Table::Entry, b"k", value.as_bytes())).await.unwrap();
    }
    write(&other, |transaction| transaction.clear(Table::Entry)).await.unwrap();
    assert_eq!(keys(&opened.store, Bound::Unbounded, Bound::Unbounded, Order::Descending, 9).await, ["k"]);
    assert!(keys(&other, Bound::Unbounded, Bound::Unbounded, Order::Descending, 9).await.is_empty());
}

#[tokio::test]
async fn a_store_keeps_its_data_and_its_number_when_it_is_opened_again() {
    let opened = Opened::new().await;
    write(&opened.store, |transaction| transaction.put(Table::Entry, b"k", b"v")).await.unwrap();
    let id = opened.store.store_id();
    drop(opened.store);
    let again = open(&opened.folder, "app").await.unwrap();
    assert_eq!(again.store_id(), id);
    let value = read(&again, |transaction| transaction.get(Table::Entry, b"k")).await.unwrap();
    assert_eq!(value, Some(b"v".to_vec()));
}

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

#[tokio::test]
async fn a_commit_of_another_connection_asks_the_listener_to_look_again() {
    let opened = Opened::new().await;
    let (sender, notices) = mpsc::channel();
    opened.store.listen(Box::new(move |notice| sender.send(notice == Notice::LookAgain).unwrap()));
    let foreign = Connection::open(opened.path()).unwrap();
    foreign.execute("CREATE TABLE mine (a)", []).unwrap();
    assert!(tokio::task::spawn_blocking(move || notices.recv().unwrap()).await.unwrap());
}

/// A value that the store has never had, so that a file grows.
fn block(number: u64, bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number);
    (0..bytes).map(|_| random.u8(..)).collect()
}

fn log_bytes(opened: &Opened) -> u64 {
    std::fs::metadata(beside(&opened.path(), "-wal")).map_or(0, |log| log.len())
}

#[tokio::test]
async fn the_log_stays_short_under_load_beside_a_reader() {
    let opened = Opened::new().await;
    // A connection that has read and reads again keeps no snapshot in between.
    let reader = Connection::open(opened.path()).unwrap();
    for number in 0..400_u64 {
        write(&opened.store, move |transaction| {
            transaction.put(Table::Record, &(number % 20).to_be_bytes(), &block(number, 500_000))
        })
        .await
        .unwrap();
        let count = reader.query_row("SELECT count(*) FROM pynenc_record", [], |row| row.get::<_, u32>(0)).unwrap();
        assert!(count > 0 && log_bytes(&opened) < 64 << 20, "{number}: {}", log_bytes(&opened));
    }
}

#[tokio::test]
async fn a_backup_is_a_store_with_the_same_data() {
    let opened = Opened::new().await;
    write(&opened.store, |transaction| transaction.put(Table::Entry, b"k", b"v")).await.unwrap();
    let config = SqliteConfig::with_path(opened.path().to_str().unwrap());
    let content = open_file(&content_file(&opened.path()), Kind::Content, "app").await.unwrap();
    write(&content, |transaction| transaction.put(Table::Content, b"d", b"c")).await.unwrap();
    let maintenance = Maintenance::of(&config).unwrap();
    let copies = maintenance.back_up(&opened.folder.path().join("copy.db")).unwrap();
    assert_eq!(copies.len(), 2);
    assert!(maintenance.back_up(&copies[0]).unwrap_err().to_string().contains("exists already"));
    let parts = [(Kind::Main, Table::Entry, b"k", b"v"), (Kind::Content, Table::Content, b"d", b"c")];
    for (path, (kind, table, key, value)) in copies.iter().zip(parts) {
        let copy = open_file(path, kind, "app").await.unwrap();
        let found = read(&copy, move |transaction| transaction.get(table, key)).await.unwrap();
        assert_eq!(found, Some(value.to_vec()));
    }
}

#[tokio::test]
async fn a_vacuum_gives_the_space_of_deleted_rows_back() {
    let opened = Opened::new().await;
    for number in 0..4_u8 {
        write(&opened.store, move |transaction| transaction.put(Table::Record, &[number], &block(1, 1 << 20)))
            .await
            .unwrap();
    }
    write(&opened.store, |transaction| transaction.clear(Table::Record)).await.unwrap();
    let maintenance = Maintenance::of(&SqliteConfig::with_path(opened.path().to_str().unwrap())).unwrap();
    let (before, after) = maintenance.vacuum().unwrap();
    assert!(before > 4 << 20 && after < 1 << 20, "{before} {after}");
    assert_eq!(maintenance.check().unwrap(), Vec::<String>::new());
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

#[cfg(unix)]
#[tokio::test]
async fn a_notice_reaches_those_who_have_subscribed_and_the_sockets_go_with_their_owner() {
    let opened = Opened::new().await;
    let other = open(&opened.folder, "app").await.unwrap();
    let (sender, notices) = mpsc::channel();
    other.listen(Box::new(move |notice| {
        if let Notice::Sent(topic, notice) = notice {
            sender.send((topic, notice.to_vec())).unwrap();
        }
    }));
    other.subscribe(Topic::Hints);
    opened.store.notify(Topic::Signals, b"not this one");
    opened.store.notify(Topic::Hints, b"");
    opened.store.notify(Topic::Hints, b"two");
    for expected in [b"".to_vec(), b"two".to_vec()] {
        assert_eq!(notices.recv().unwrap(), (Topic::Hints, expected));
    }
    let sockets = beside(&opened.path(), "-wake");
    assert!(sockets.exists());
    drop(other);
    // There is nobody left.
    opened.store.notify(Topic::Hints, b"three");
    assert!(notices.recv().is_err());
    drop(opened.store);
    assert!(!sockets.exists());
}

#[cfg(unix)]
#[tokio::test]
async fn a_socket_whose_process_was_killed_is_removed() {
    let opened = Opened::new().await;
    let sockets = beside(&opened.path(), "-wake");
    std::fs::create_dir(&sockets).unwrap();
    let left = sockets.join(format!("{}-hints-77-a", opened.store.app.keys.number()));
    drop(std::os::unix::net::UnixDatagram::bind(&left).unwrap());
    assert!(left.exists());
    opened.store.notify(Topic::Hints, b"");
    assert!(!left.exists());
}

/// The number of the steps whose writes are in a store. Each step writes to two tables.
async fn steps_in(store: &FileStore) -> u32 {
    read(store, |transaction| {
        let all = KeyRange { start: Bound::Unbounded, end: Bound::Unbounded, order: Order::Ascending };
        let [entries, records] = [Table::Entry, Table::Record].map(|table| transaction.range(table, all, 1000));
        let (entries, records) = (entries?.len(), records?.len());
        assert_eq!(entries, records, "a step is whole");
        Ok(u32::try_from(entries).unwrap())
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_log_that_a_power_failure_has_cut_keeps_every_step_that_was_acknowledged_before() {
    let opened = Opened::new().await;
    let mut lengths = Vec::new();
    for number in 0..40_u32 {
        let size = usize::try_from(number * 331 % 9000).unwrap();
        write(&opened.store, move |transaction| {
            transaction.put(Table::Entry, &number.to_be_bytes(), b"")?;
            transaction.put(Table::Record, &number.to_be_bytes(), &block(1, size))
        })
        .await
        .unwrap();
        lengths.push(log_bytes(&opened));
    }
    let [database, log] = [opened.path(), beside(&opened.path(), "-wal")].map(|path| std::fs::read(path).unwrap());
    let whole = log.len();
    let mut random = fastrand::Rng::with_seed(7);
    let cuts = (0..24).map(|_| random.usize(..whole)).chain([whole]);
    for cut in cuts {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("jobs.db");
        std::fs::write(&copy, &database).unwrap();
        std::fs::write(beside(&copy, "-wal"), &log[..cut]).unwrap();
        let acknowledged = lengths.iter().filter(|length| **length <= cut as u64).count();
        let kept = steps_in(&*open(&folder, "app").await.unwrap()).await;
        assert_eq!(usize::try_from(kept).unwrap(), acknowledged, "cut at {cut} of {whole}");
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

#[tokio::test]
async fn without_checkpoints_the_log_stays_when_the_file_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open_without_checkpoints(&path).await;
    write(&store, |transaction| transaction.put(Table::Record, b"k", &block(1, 6 << 20))).await.unwrap();
    read(&store, |transaction| transaction.get(Table::Entry, b"k")).await.unwrap();
    drop(store);
    let [database, log] = [path.clone(), beside(&path, "-wal")].map(|path| std::fs::metadata(path).unwrap().len());
    assert!(database < 1 << 20 && log > 6 << 20, "{database} {log}");
}
