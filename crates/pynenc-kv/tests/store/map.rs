//! A store of plain ordered maps, which several processes can share, and whose operations can be made to fail.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use pynenc_core::component::StoreId;
use pynenc_core::{Error, Result};
use pynenc_kv::{Group, KeyRange, KeyValue, Listener, Notice, Order, Step, Table, Topic, Transaction};

/// The operation that fails at most, of a transaction that is repeated.
const LONGEST: usize = 47;

/// The data of a store.
pub(crate) type Tables = BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>;

/// A store, as one of the processes that use it sees it.
pub(crate) struct MapStore {
    shared: Arc<Shared>,
    /// The position of this process among the listeners.
    process: usize,
}

#[derive(Default)]
struct Shared {
    tables: Mutex<Tables>,
    /// The number of operations until one fails.
    fuse: Mutex<Option<usize>>,
    /// The numbers of reads and of writes.
    operations: Mutex<(usize, usize)>,
    /// How many transactions were made to fail before they were repeated; `None` if none is.
    repeated: Mutex<Option<usize>>,
    processes: Mutex<Vec<Arc<Process>>>,
}

#[derive(Default)]
struct Process {
    listener: OnceLock<Listener>,
    topics: Mutex<Vec<Topic>>,
    is_deaf: Mutex<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for MapStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapStore").field("process", &self.process).finish_non_exhaustive()
    }
}

impl Default for MapStore {
    fn default() -> Self {
        Self::of(Arc::default())
    }
}

impl MapStore {
    fn of(shared: Arc<Shared>) -> Self {
        lock(&shared.processes).push(Arc::default());
        let process = lock(&shared.processes).len() - 1;
        Self { shared, process }
    }

    /// A store in which each transaction first fails at one of its operations, and is then repeated.
    pub(crate) fn repeating() -> Self {
        let store = Self::default();
        *lock(&store.shared.repeated) = Some(0);
        store
    }

    /// The same store in another process.
    pub(crate) fn in_another_process(&self) -> Self {
        Self::of(self.shared.clone())
    }

    /// Loses all further notifications to this process.
    pub(crate) fn lose_notifications(&self) {
        *lock(&self.own().is_deaf) = true;
    }

    /// Tells the process that notifications may have been lost.
    pub(crate) fn look_again(&self) {
        if let Some(listener) = self.own().listener.get() {
            listener(Notice::LookAgain);
        }
    }

    /// Takes the numbers of reads and of writes since the last call.
    pub(crate) fn take_operations(&self) -> (usize, usize) {
        std::mem::take(&mut *lock(&self.shared.operations))
    }

    /// Makes an operation fail after `operations` others.
    pub(crate) fn fail_after(&self, operations: usize) {
        *lock(&self.shared.fuse) = Some(operations);
    }

    /// Lets all operations succeed. Reports whether one has failed.
    pub(crate) fn mend(&self) -> bool {
        lock(&self.shared.fuse).take().is_none()
    }

    /// The data.
    pub(crate) fn tables(&self) -> Tables {
        let mut tables = lock(&self.shared.tables).clone();
        tables.retain(|_, table| !table.is_empty());
        tables
    }

    /// Replaces a value.
    pub(crate) fn set(&self, table: Table, key: &[u8], value: Vec<u8>) {
        lock(&self.shared.tables).entry(table).or_default().insert(key.to_vec(), value);
    }

    /// Performs some work in a transaction, which is committed if the work says so.
    pub(crate) fn transact<R>(&self, work: impl FnOnce(&mut dyn Transaction) -> (R, bool)) -> R {
        let mut tables = lock(&self.shared.tables);
        let mut open = Open {
            tables: &mut tables,
            undo: Vec::new(),
            reads: 0,
            writes: 0,
            fuse: &self.shared.fuse,
            may_write: true,
        };
        let (output, commits) = work(&mut open);
        if !commits {
            open.roll_back();
        }
        output
    }

    fn own(&self) -> Arc<Process> {
        lock(&self.shared.processes)[self.process].clone()
    }

    /// Performs a step, and reports its result when the data isn't locked any more.
    fn perform(&self, step: Box<dyn Step>, may_write: bool) {
        let mut group = Group::new(vec![step]);
        let mut tables = lock(&self.shared.tables);
        let mut open =
            Open { tables: &mut tables, undo: Vec::new(), reads: 0, writes: 0, fuse: &self.shared.fuse, may_write };
        if let Some(repeated) = &mut *lock(&self.shared.repeated) {
            *repeated += 1;
            *lock(&self.shared.fuse) = Some(*repeated % LONGEST);
            // The transaction is rolled back whether it failed or was too short for that.
            drop(group.run(&mut open));
            open.roll_back();
            (open.reads, open.writes) = (0, 0);
            *lock(&self.shared.fuse) = None;
        }
        let committed = group.run(&mut open);
        let (reads, writes) = (open.reads, open.writes);
        if committed.is_err() {
            open.roll_back();
        }
        drop(tables);
        let mut operations = lock(&self.shared.operations);
        *operations = (operations.0 + reads, operations.1 + writes);
        drop(operations);
        group.finish(committed);
    }
}

impl KeyValue for MapStore {
    fn store_id(&self) -> StoreId {
        StoreId(format!("maps at {:p}", Arc::as_ptr(&self.shared)).into())
    }

    fn write(&self, step: Box<dyn Step>) {
        self.perform(step, true);
    }

    fn read(&self, step: Box<dyn Step>) {
        self.perform(step, false);
    }

    fn listen(&self, listener: Listener) {
        assert!(self.own().listener.set(listener).is_ok(), "a process listens once");
    }

    fn subscribe(&self, topic: Topic) {
        lock(&self.own().topics).push(topic);
    }

    fn notify(&self, topic: Topic, notice: &[u8]) {
        assert!(notice.len() <= Topic::MOST_BYTES);
        let processes = lock(&self.shared.processes).clone();
        for (_, process) in processes.iter().enumerate().filter(|(number, _)| *number != self.process) {
            if !*lock(&process.is_deaf) && lock(&process.topics).contains(&topic) {
                process.listener.get().expect("a subscriber listens")(Notice::Sent(topic, notice));
            }
        }
    }
}

/// An open transaction.
struct Open<'a> {
    tables: &'a mut Tables,
    /// The values before each change.
    undo: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>,
    reads: usize,
    writes: usize,
    fuse: &'a Mutex<Option<usize>>,
    may_write: bool,
}

impl Open<'_> {
    /// A read. A step has to decide everything before it writes: then a step that can't read its data has written nothing.
    fn read(&mut self, table: Table) -> Result<&mut BTreeMap<Vec<u8>, Vec<u8>>> {
        assert!(self.writes == 0, "a step read {table:?} after it had written");
        self.reads += 1;
        self.operation(table)
    }

    fn operation(&mut self, table: Table) -> Result<&mut BTreeMap<Vec<u8>, Vec<u8>>> {
        let mut fuse = lock(self.fuse);
        match *fuse {
            Some(0) => {
                *fuse = None;
                return Err(Error::unavailable("an operation failed on purpose"));
            }
            Some(left) => *fuse = Some(left - 1),
            None => {}
        }
        Ok(self.tables.entry(table).or_default())
    }

    fn set(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        assert!(self.may_write, "a read transaction wrote to {table:?}");
        assert!((1..=2000).contains(&key.len()), "a key of {table:?} has {} bytes", key.len());
        self.writes += 1;
        let rows = self.operation(table)?;
        let before = match value {
            Some(value) => rows.insert(key.to_vec(), value.to_vec()),
            None => rows.remove(key),
        };
        self.undo.push((table, key.to_vec(), before));
        Ok(())
    }

    fn roll_back(&mut self) {
        for (table, key, before) in self.undo.drain(..).rev() {
            let rows = self.tables.entry(table).or_default();
            match before {
                Some(value) => drop(rows.insert(key, value)),
                None => drop(rows.remove(&key)),
            }
        }
    }
}

impl Transaction for Open<'_> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.read(table)?.get(key).cloned())
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        self.set(table, key, Some(value))
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<()> {
        self.set(table, key, None)
    }

    fn range(&mut self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let rows = self.read(table)?;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let rows = rows.range::<[u8], (Bound<&[u8]>, Bound<&[u8]>)>((range.start, range.end));
        let row = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        Ok(match range.order {
            Order::Ascending => rows.take(limit).map(row).collect(),
            Order::Descending => rows.rev().take(limit).map(row).collect(),
        })
    }

    fn delete_range(&mut self, table: Table, range: KeyRange<'_>) -> Result<()> {
        self.writes += 1;
        let rows = self.operation(table)?;
        if range.is_empty() {
            return Ok(());
        }
        let deleted = rows.range::<[u8], (Bound<&[u8]>, Bound<&[u8]>)>((range.start, range.end));
        let keys: Vec<_> = deleted.map(|(key, _)| key.clone()).collect();
        let changes: Vec<_> = keys.into_iter().map(|key| (table, rows.remove(&key), key)).collect();
        self.undo.extend(changes.into_iter().map(|(table, before, key)| (table, key, before)));
        Ok(())
    }
}
