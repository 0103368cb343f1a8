//! A backend over [`redb`]: an ordered key-value store in one file, for one process.

use std::path::Path;
use std::sync::Arc;

use pynenc_core::component::StoreId;
use pynenc_core::{Error, Result};
use pynenc_kv::{Group, KeyRange, KeyValue, Order, Step, Table, Transaction, Writer};
use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

/// The largest number of steps that share a transaction, and so a sync to the disk.
const GROUP: usize = 500;

type Bytes = &'static [u8];
type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// A store in a file.
#[derive(Debug)]
pub struct RedbStore {
    database: Arc<Database>,
    writer: Writer,
    reader: Writer,
}

impl RedbStore {
    /// Opens a file, or creates it.
    ///
    /// # Errors
    ///
    /// The file can't be opened, for example because another process has opened it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let database = Arc::new(Database::create(path).map_err(failed)?);
        create_tables(&database)?;
        let written = database.clone();
        let writer = Writer::start("redb-writer", GROUP, move |mut group| {
            let committed = write(&written, &mut group);
            group.finish(committed);
        })?;
        let read = database.clone();
        let reader = Writer::start("redb-reader", GROUP, move |mut group| {
            let transaction = read.begin_read().map_err(failed);
            let done = transaction.and_then(|transaction| group.run(&mut Read(transaction)));
            group.finish(done);
        })?;
        Ok(Self { database, writer, reader })
    }
}

/// Performs steps in one transaction. If the store fails, the transaction is dropped, which rolls it back.
fn write(database: &Database, group: &mut Group) -> Result<()> {
    let mut transaction = Write(database.begin_write().map_err(failed)?);
    group.run(&mut transaction)?;
    transaction.0.commit().map_err(failed)
}

impl KeyValue for RedbStore {
    fn store_id(&self) -> StoreId {
        StoreId(format!("redb at {:p}", Arc::as_ptr(&self.database)).into())
    }

    fn write(&self, step: Box<dyn Step>) {
        self.writer.send(step);
    }

    fn read(&self, step: Box<dyn Step>) {
        self.reader.send(step);
    }
}

fn definition(table: Table) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(table.name())
}

/// Creates the tables, so that a read transaction finds all of them.
fn create_tables(database: &Database) -> Result<()> {
    let transaction = database.begin_write().map_err(failed)?;
    for table in Table::ALL {
        transaction.open_table(definition(*table)).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

fn failed(error: impl Into<redb::Error>) -> Error {
    Error::unavailable("the redb store failed").caused_by(error.into())
}

fn get(rows: &impl ReadableTable<Bytes, Bytes>, key: &[u8]) -> Result<Option<Vec<u8>>> {
    Ok(rows.get(key).map_err(failed)?.map(|value| value.value().to_vec()))
}

fn range(rows: &impl ReadableTable<Bytes, Bytes>, range: KeyRange<'_>, limit: usize) -> Result<Rows> {
    let mut found = Rows::new();
    if range.is_empty() {
        return Ok(found);
    }
    let mut rows = rows.range::<&[u8]>((range.start, range.end)).map_err(failed)?;
    while found.len() < limit {
        let row = match range.order {
            Order::Ascending => rows.next(),
            Order::Descending => rows.next_back(),
        };
        let Some(row) = row else { break };
        let (key, value) = row.map_err(failed)?;
        found.push((key.value().to_vec(), value.value().to_vec()));
    }
    Ok(found)
}

/// A write transaction.
struct Write(WriteTransaction);

impl Write {
    fn open(&self, table: Table) -> Result<redb::Table<'_, Bytes, Bytes>> {
        self.0.open_table(definition(table)).map_err(failed)
    }
}

impl Transaction for Write {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        get(&self.open(table)?, key)
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        self.open(table)?.insert(key, value).map(drop).map_err(failed)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<()> {
        self.open(table)?.remove(key).map(drop).map_err(failed)
    }

    fn range(&mut self, table: Table, keys: KeyRange<'_>, limit: usize) -> Result<Rows> {
        range(&self.open(table)?, keys, limit)
    }

    fn delete_range(&mut self, table: Table, range: KeyRange<'_>) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        self.open(table)?.retain_in::<&[u8], _>((range.start, range.end), |_, _| false).map_err(failed)
    }
}

/// A read transaction.
struct Read(ReadTransaction);

impl Read {
    fn open(&self, table: Table) -> Result<ReadOnlyTable<Bytes, Bytes>> {
        self.0.open_table(definition(table)).map_err(failed)
    }
}

impl Transaction for Read {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        get(&self.open(table)?, key)
    }

    fn range(&mut self, table: Table, keys: KeyRange<'_>, limit: usize) -> Result<Rows> {
        range(&self.open(table)?, keys, limit)
    }

    fn put(&mut self, table: Table, _: &[u8], _: &[u8]) -> Result<()> {
        Err(read_only(table))
    }

    fn delete(&mut self, table: Table, _: &[u8]) -> Result<()> {
        Err(read_only(table))
    }

    fn delete_range(&mut self, table: Table, _: KeyRange<'_>) -> Result<()> {
        Err(read_only(table))
    }
}

fn read_only(table: Table) -> Error {
    Error::invalid("a read transaction can't write").with("table", table.name())
}
