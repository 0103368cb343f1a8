//! Tests of submits in a transaction of the program.

use pynenc::Submitted;
use pynenc::backends::pynenc_sqlite::rusqlite::{Connection, Transaction, TransactionBehavior, params_from_iter};
use pynenc::backends::pynenc_sqlite::{AsyncSqlTransaction, SqlResult, SqlRow, SqlTransaction, SqlValue};
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
    fn execute(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> SqlResult<()> {
        self.0.execute(sql, params_from_iter(values))?;
        Ok(())
    }

    fn query(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> SqlResult<Vec<SqlRow>> {
        let mut statement = self.0.prepare(sql)?;
        let rows = statement.query_map(params_from_iter(values), |row| Ok((row.get("k")?, row.get("v")?)))?;
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

/// A connection of an asynchronous library. It notes the kind of each statement.
struct Asynchronous<'a> {
    connection: &'a mut Connection,
    statements: &'a mut Vec<&'static str>,
}

impl AsyncSqlTransaction for Asynchronous<'_> {
    async fn execute(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> SqlResult<()> {
        tokio::task::yield_now().await;
        self.statements.push("write");
        Other(self.connection).execute(sql, values)
    }

    async fn query(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> SqlResult<Vec<SqlRow>> {
        tokio::task::yield_now().await;
        self.statements.push("read");
        Other(self.connection).query(sql, values)
    }
}

/// Submits a call in the open transaction of an asynchronous library.
async fn submit_async(app: &Pynenc, connection: &mut Connection, call: Call<noted>) -> Result<Submitted<noted>> {
    let mut statements = Vec::new();
    let transaction = Asynchronous { connection, statements: &mut statements };
    let submitted = app.sqlite()?.submit_async(transaction, call).await;
    let first_write = statements.iter().position(|kind| *kind == "write").unwrap_or(statements.len());
    assert!(!statements[first_write..].contains(&"read"), "{statements:?}");
    submitted
}

#[tokio::test]
async fn an_asynchronous_library_submits_by_two_methods() {
    let fleet = Fleet::over(Store::Sqlite);
    let app = fleet.client().await;
    let _runner = app.start_runner().await.unwrap();
    let mut connection = connection(&fleet);
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let first = submit_async(&app, &mut connection, noted("a".into())).await.unwrap();
    let second = submit_async(&app, &mut connection, noted("b".into())).await.unwrap();
    connection.execute_batch("COMMIT").unwrap();
    assert_eq!(result_of(&first.committed()).await.unwrap(), "a");
    assert_eq!(result_of(&second.committed()).await.unwrap(), "b");
    fleet.holds(&app).await;
}

#[tokio::test]
async fn an_asynchronous_submit_sees_the_writes_of_its_transaction() {
    let fleet = Fleet::over(Store::Sqlite);
    let app = fleet.client().await;
    let mut connection = connection(&fleet);
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let call = |name: &str| noted(name.to_owned()).idempotency_key("order 7");
    let first = submit_async(&app, &mut connection, call("a")).await.unwrap();
    let again = submit_async(&app, &mut connection, call("a")).await.unwrap();
    assert!(again.invocation().is_reused() && again.invocation().id() == first.invocation().id());
    let conflict = submit_async(&app, &mut connection, call("b")).await.unwrap_err();
    assert!(matches!(conflict, Error::IdempotencyConflict { .. }), "{conflict}");
    connection.execute_batch("ROLLBACK").unwrap();
    assert_eq!(app.count(Status::Registered).await.unwrap(), 0);
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
    drop(transaction);
    let error = submit_async(&app, &mut elsewhere, noted("a".into())).await.unwrap_err();
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
