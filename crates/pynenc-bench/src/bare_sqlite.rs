//! The bare statements of an invocation on SQLite: the best speed of a file, measured beside the benchmarks.
//!
//! Four tables hold about the bytes that an invocation needs: its state, its call, its place in the queue and its place
//! among all. There are no priorities, retries, concurrency limits or watchers.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Result, Transaction, TransactionBehavior};

/// Invocations per second in one thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BareSqlite {
    /// Submits, each in a transaction of its own.
    pub(crate) single: f64,
    /// Submits, 64 in a transaction.
    pub(crate) batches_of_64: f64,
    /// Submits, 500 in a transaction.
    pub(crate) batches_of_500: f64,
    /// Claims and settlements, 64 in a transaction.
    pub(crate) drain: f64,
}

/// The duration of a measurement.
const LENGTH: Duration = Duration::from_millis(500);
/// The stored bytes of a state, of a call and of an outcome.
const STATE: [u8; 220] = [b's'; 220];
const CALL: [u8; 130] = [b'c'; 130];
const SETTLED: [u8; 300] = [b'e'; 300];

impl BareSqlite {
    /// Measures on a new file.
    pub(crate) fn measure(file: &Path, synchronous: &str) -> Result<Self> {
        let mut connection = Connection::open(file)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.execute_batch(
            "CREATE TABLE state (id BLOB PRIMARY KEY, v BLOB NOT NULL) STRICT, WITHOUT ROWID;
             CREATE TABLE call (id BLOB PRIMARY KEY, v BLOB NOT NULL) STRICT, WITHOUT ROWID;
             CREATE TABLE queue (rank BLOB, id BLOB, PRIMARY KEY (rank, id)) STRICT, WITHOUT ROWID;
             CREATE TABLE known (at BLOB, id BLOB, PRIMARY KEY (at, id)) STRICT, WITHOUT ROWID;",
        )?;
        let mut ids = Ids(0);
        Ok(Self {
            single: submits(&mut connection, &mut ids, 1)?,
            batches_of_64: submits(&mut connection, &mut ids, 64)?,
            batches_of_500: submits(&mut connection, &mut ids, 500)?,
            drain: drains(&mut connection)?,
        })
    }
}

/// Ids that grow like those of invocations.
struct Ids(u128);

impl Ids {
    fn next(&mut self) -> [u8; 16] {
        self.0 += 1;
        (self.0 << 40).to_be_bytes()
    }
}

fn submits(connection: &mut Connection, ids: &mut Ids, batch: u32) -> Result<f64> {
    rate(|| {
        let transaction = begin(connection)?;
        for _ in 0..batch {
            let id = ids.next();
            transaction.prepare_cached("INSERT INTO state VALUES (?1, ?2)")?.execute((id, STATE))?;
            transaction.prepare_cached("INSERT INTO call VALUES (?1, ?2)")?.execute((id, CALL))?;
            transaction.prepare_cached("INSERT INTO queue VALUES (?1, ?1)")?.execute([id])?;
            transaction.prepare_cached("INSERT INTO known VALUES (?1, ?1)")?.execute([id])?;
        }
        transaction.commit()?;
        Ok(batch)
    })
}

fn drains(connection: &mut Connection) -> Result<f64> {
    rate(|| {
        let claim = begin(connection)?;
        let taken: Vec<[u8; 16]> = {
            let mut take = claim.prepare_cached("SELECT id FROM queue ORDER BY rank, id LIMIT 64")?;
            take.query_map([], |row| row.get(0))?.collect::<Result<_>>()?
        };
        for id in &taken {
            claim.prepare_cached("DELETE FROM queue WHERE rank = ?1 AND id = ?1")?.execute([id])?;
            claim.prepare_cached("SELECT v FROM call WHERE id = ?1")?.query_row([id], |_| Ok(()))?;
        }
        update(&claim, &taken, &STATE)?;
        claim.commit()?;
        let settle = begin(connection)?;
        update(&settle, &taken, &SETTLED)?;
        settle.commit()?;
        Ok(u32::try_from(taken.len()).unwrap_or(u32::MAX))
    })
}

fn update(transaction: &Transaction<'_>, ids: &[[u8; 16]], state: &[u8]) -> Result<()> {
    for id in ids {
        transaction.prepare_cached("SELECT v FROM state WHERE id = ?1")?.query_row([id], |_| Ok(()))?;
        transaction.prepare_cached("UPDATE state SET v = ?2 WHERE id = ?1")?.execute((id, state))?;
    }
    Ok(())
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// The invocations per second of a step that returns how many it has processed. It ends early without any.
fn rate(mut step: impl FnMut() -> Result<u32>) -> Result<f64> {
    let (start, mut count) = (Instant::now(), 0_u32);
    while start.elapsed() < LENGTH {
        match step()? {
            0 => break,
            processed => count += processed,
        }
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rate_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        let bare = BareSqlite::measure(&folder.path().join("bare.db"), "normal").unwrap();
        let rates = [bare.single, bare.batches_of_64, bare.batches_of_500, bare.drain];
        assert!(rates.iter().all(|rate| *rate > 0.0), "{bare:?}");
    }
}
