//! Tests of the key-value store.

mod durability;
mod faults;
mod foreign;
mod notices;
mod short_steps;
mod simulation;

use std::ops::Bound::{self, Excluded, Included, Unbounded};
use std::path::PathBuf;
use std::sync::mpsc;

use pynenc_core::clock::SystemClock;
use pynenc_core::{Error, ErrorKind};
use pynenc_kv::Order::{Ascending, Descending};
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
    durability: Durability,
    items: usize,
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
        self.durability
    }

    fn items(&self) -> usize {
        self.items
    }
}

fn step<T: Send + 'static>(
    run: impl FnMut(&mut dyn Transaction) -> Result<T> + Send + 'static,
) -> (Box<dyn Step>, oneshot::Receiver<Result<T>>) {
    sized_step(Durability::Power, usize::MAX, run)
}

fn sized_step<T: Send + 'static>(
    durability: Durability,
    items: usize,
    run: impl FnMut(&mut dyn Transaction) -> Result<T> + Send + 'static,
) -> (Box<dyn Step>, oneshot::Receiver<Result<T>>) {
    let (reply, receiver) = oneshot::channel();
    (Box::new(TestStep { run: Box::new(run), value: None, reply, durability, items }), receiver)
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

async fn keys(store: &FileStore, start: Bound<&[u8]>, end: Bound<&[u8]>, order: Order, limit: usize) -> Vec<String> {
    let (start, end) = (start.map(<[u8]>::to_vec), end.map(<[u8]>::to_vec));
    let run = move |transaction: &mut dyn Transaction| {
        let range = KeyRange { start: start.as_ref().map(Vec::as_slice), end: end.as_ref().map(Vec::as_slice), order };
        transaction.range(Table::Entry, range, limit)
    };
    let found = read(store, run).await.unwrap();
    found.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
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
async fn a_range_has_its_bounds_its_order_and_its_limit() {
    let opened = Opened::new().await;
    write(&opened.store, |transaction| {
        ["b", "a", "c", "ab"].iter().try_for_each(|key| transaction.put(Table::Entry, key.as_bytes(), &[1]))
    })
    .await
    .unwrap();
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
        transaction.delete_range(Table::Meta, KeyRange::ALL)?;
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
    write(&other, |transaction| transaction.delete_range(Table::Entry, KeyRange::ALL)).await.unwrap();
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
