//! Tests of submits in a transaction of the program.

use pynenc::backends::pynenc_sqlite::rusqlite::{Connection, Transaction, TransactionBehavior};
use pynenc::backends::pynenc_sqlite::{SqlResult, SqlTransaction, SqlValue};
use pynenc::prelude::*;
use pynenc_tests::worker_tasks::noted;

use crate::fleet::{Fleet, Store, result_of};

/// A connection of the program with a table of its own.
fn connection(fleet: &Fleet) -> Connection {
    let connection = Connection::open(fleet.path()).unwrap();
    connection.execute("CREATE TABLE IF NOT EXISTS orders (name TEXT)", []).unwrap();
    connection
}

fn begin(connection: &mut Connection) -> Transaction<'_> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap()
}

fn orders(connection: &Connection) -> u32 {
    connection.query_row("SELECT count(*) FROM orders", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_call_of_a_transaction_that_is_rolled_back_never_existed() {
    let fleet = Fleet::over(Store::Sqlite);
    let app = fleet.client().await;
    let mut connection = connection(&fleet);
    let transaction = begin(&mut connection);
    transaction.execute("INSERT INTO orders VALUES ('a')", []).unwrap();
    let submitted = app.sqlite().unwrap().submit(&transaction, noted("a".into())).unwrap();
    let id = submitted.invocation().id();
    transaction.rollback().unwrap();
    assert_eq!(app.parts().orchestrator.records(&[id]).await.unwrap(), [None]);
    assert_eq!(app.parts().state.invocations(&[id]).await.unwrap(), [None]);
    assert_eq!(app.count(Status::Registered).await.unwrap(), 0);
    assert_eq!(orders(&connection), 0);
}

#[tokio::test]
async fn a_committed_call_is_run_by_a_worker_that_nobody_has_notified() {
    let fleet = Fleet::over(Store::Sqlite);
    let app = fleet.client().await;
    let _worker = fleet.worker();
    // The worker has no work and waits.
    result_of(&app.submit(noted("first".into())).await.unwrap()).await.unwrap();
    let mut connection = connection(&fleet);
    let transaction = begin(&mut connection);
    transaction.execute("INSERT INTO orders VALUES ('a')", []).unwrap();
    let submitted = app.sqlite().unwrap().submit(&transaction, noted("a".into())).unwrap();
    transaction.commit().unwrap();
    assert_eq!(result_of(submitted.invocation()).await.unwrap(), "a");
    assert_eq!(orders(&connection), 1);
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_committed_call_wakes_a_runner_of_its_own_process() {
    let fleet = Fleet::over(Store::Sqlite);
    let app = fleet.client().await;
    let _runner = app.start_runner().await.unwrap();
    let mut connection = connection(&fleet);
    for call in ["a", "b"] {
        let transaction = begin(&mut connection);
        let submitted = app.sqlite().unwrap().submit(&transaction, noted(call.into())).unwrap();
        transaction.commit().unwrap();
        assert_eq!(result_of(&submitted.committed()).await.unwrap(), call);
    }
}

/// A connection of another library.
struct Other<'a>(&'a Connection);

impl SqlTransaction for Other<'_> {
    fn execute(&mut self, sql: &str, values: &[SqlValue<'_>]) -> SqlResult<()> {
        self.0.execute(sql, pynenc::backends::pynenc_sqlite::rusqlite::params_from_iter(values))?;
        Ok(())
    }

    fn query(&mut self, sql: &str, values: &[SqlValue<'_>]) -> SqlResult<Vec<Vec<Vec<u8>>>> {
        let mut statement = self.0.prepare(sql)?;
        let columns = statement.column_count();
        let rows = statement.query_map(pynenc::backends::pynenc_sqlite::rusqlite::params_from_iter(values), |row| {
            (0..columns).map(|column| row.get(column)).collect()
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

#[tokio::test]
async fn another_library_submits_by_two_methods() {
    let fleet = Fleet::over(Store::Sqlite);
    let app = fleet.client().await;
    let _runner = app.start_runner().await.unwrap();
    let connection = connection(&fleet);
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let submitted = app.sqlite().unwrap().submit(Other(&connection), noted("a".into())).unwrap();
    connection.execute_batch("COMMIT").unwrap();
    assert_eq!(result_of(&submitted.committed()).await.unwrap(), "a");
}

#[tokio::test]
async fn a_repeated_idempotency_key_gives_the_same_invocation_and_a_conflict_is_an_error() {
    let fleet = Fleet::over(Store::Sqlite);
    let app = fleet.client().await;
    let mut connection = connection(&fleet);
    let transaction = begin(&mut connection);
    let sqlite = app.sqlite().unwrap();
    let call = |name: &str| noted(name.to_owned()).idempotency_key("order 7");
    let first = sqlite.submit(&transaction, call("a")).unwrap();
    let again = sqlite.submit(&transaction, call("a")).unwrap();
    assert!(again.invocation().is_reused() && again.invocation().id() == first.invocation().id());
    let conflict = sqlite.submit(&transaction, call("b")).unwrap_err();
    assert!(matches!(conflict, Error::IdempotencyConflict { .. }), "{conflict}");
    transaction.commit().unwrap();
}

#[tokio::test]
async fn a_connection_to_another_file_and_an_app_without_sqlite_are_refused_with_advice() {
    let fleet = Fleet::over(Store::Sqlite);
    let app = fleet.client().await;
    let mut elsewhere = Connection::open_in_memory().unwrap();
    let transaction = begin(&mut elsewhere);
    let error = app.sqlite().unwrap().submit(&transaction, noted("a".into())).unwrap_err();
    assert!(format!("{error:?}").contains("use a connection to the file of `sqlite.path`"), "{error:?}");
    let memory = Pynenc::builder().without_config_file().environment([]).memory().build().await.unwrap();
    let error = memory.sqlite().unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error}");
}

#[tokio::test]
async fn a_file_that_a_newer_version_has_migrated_is_refused() {
    let fleet = Fleet::over(Store::Sqlite);
    let app = fleet.client().await;
    let mut connection = connection(&fleet);
    connection.execute("UPDATE pynenc_schema SET v = 99", []).unwrap();
    let transaction = begin(&mut connection);
    let error = app.sqlite().unwrap().submit(&transaction, noted("a".into())).unwrap_err();
    assert!(format!("{error:?}").contains("version of the file: 99"), "{error:?}");
}
