//! The thread that performs all writes of a process to one file.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use pynenc_core::{Error, Result};
use pynenc_kv::{Durability, Group, Step};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::checkpoint::Checkpoints;
use crate::clock::StoreClock;
use crate::config::Synchronous;
use crate::connection::{Role, create_and_open, open, set_synchronous};
use crate::error::{Failure, store_error};
use crate::identity::Identity;
use crate::schema::{self, Kind};
use crate::session::Session;
use crate::sql::AppKeys;

/// The most steps of one transaction, and the time after which a transaction takes no more steps.
const MOST_STEPS: usize = 500;
const LONGEST_TRANSACTION: Duration = Duration::from_millis(5);
/// The number of steps between two looks at the time.
const STEPS_OF_A_GROUP: usize = 64;
/// How often a writer looks for commits of other processes.
///
/// Where processes notify each other through sockets, this is the net under a lost notification.
const LOOK_INTERVAL: Duration = Duration::from_millis(if cfg!(unix) { 100 } else { 10 });

/// A request to the writer.
pub(crate) enum Request {
    /// Performs a step on the keys of an app.
    Write(Arc<App>, Box<dyn Step>),
    /// Finds the number of an app.
    App(Box<str>, oneshot::Sender<Result<AppKeys>>),
    /// Changes the connection, for tests.
    #[cfg(test)]
    Change(Box<dyn FnOnce(&Connection) + Send>),
}

/// An app that uses the file.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) keys: AppKeys,
    pub(crate) clock: Arc<StoreClock>,
}

/// The writer of a file.
pub(crate) struct Writer {
    pub(crate) path: Box<Path>,
    pub(crate) kind: Kind,
    pub(crate) synchronous: Synchronous,
    pub(crate) requests: Receiver<Request>,
    pub(crate) checkpoints: Checkpoints,
    /// Is set when the file is opened.
    pub(crate) identity: OnceCell<Identity>,
    /// Is called after a commit of another connection.
    pub(crate) on_foreign_commit: Box<dyn Fn() + Send>,
}

/// Why a writer stops using its connection.
enum End {
    /// Nobody can send requests any more.
    Closed,
    /// The connection has failed. Another one may work.
    Reopen,
    /// The file is damaged.
    Damaged(Error),
}

impl Writer {
    /// Opens the file, reports the result, and performs requests until all senders are gone.
    pub(crate) fn run(self, opened: oneshot::Sender<Result<()>>) {
        let mut connection = match self.open_first() {
            Ok(connection) => {
                drop(opened.send(Ok(())));
                Some(connection)
            }
            Err(error) => return drop(opened.send(Err(error))),
        };
        while let Some(open) = connection.take() {
            match self.serve(&open) {
                End::Closed => return,
                End::Damaged(error) => return self.requests.iter().for_each(|request| refuse(request, &error)),
                End::Reopen => drop(open),
            }
            connection = self.reopen();
        }
    }

    /// Opens the file, which may be a new one.
    fn open_first(&self) -> Result<Connection> {
        let connection = self.prepare(create_and_open(&self.path, Role::Writer(self.synchronous))?)?;
        self.identity.get_or_init(|| Identity::of(&self.path));
        Ok(connection)
    }

    /// Opens another connection to the same file.
    fn open_again(&self) -> Result<Connection> {
        self.check_identity()?;
        self.prepare(open(&self.path, Role::Writer(self.synchronous))?)
    }

    fn check_identity(&self) -> Result<()> {
        self.identity.get().map_or(Ok(()), Identity::check)
    }

    fn prepare(&self, mut connection: Connection) -> Result<Connection> {
        schema::migrate(&self.path, &mut connection, self.kind)?;
        self.checkpoints.watch(&connection).map_err(|error| store_error(&self.path, error))?;
        Ok(connection)
    }

    /// Opens another connection. Until that succeeds, each request fails with the reason.
    fn reopen(&self) -> Option<Connection> {
        loop {
            match self.open_again() {
                Ok(connection) => return Some(connection),
                Err(error) => refuse(self.requests.recv().ok()?, &error),
            }
        }
    }

    fn serve(&self, connection: &Connection) -> End {
        let mut session = Session::new(&self.path, connection);
        let mut waiting = VecDeque::new();
        let (mut version, mut looked) = (data_version(connection), Instant::now());
        let mut is_elsewhere = false;
        loop {
            let is_idle = match self.receive(&mut waiting) {
                Ok(()) => false,
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => return End::Closed,
            };
            let is_due = is_idle || looked.elapsed() >= LOOK_INTERVAL;
            if is_due && let Err(error) = self.check_identity() {
                if !is_elsewhere {
                    tracing::error!(%error, "the SQLite file isn't written to");
                }
                is_elsewhere = true;
                waiting.drain(..).for_each(|request| refuse(request, &error));
                continue;
            }
            is_elsewhere &= !is_due;
            self.perform(connection, &mut session, &mut waiting);
            match session.failure.take() {
                Some((Failure::Damage, error)) => {
                    waiting.into_iter().for_each(|request| refuse(request, &error));
                    return End::Damaged(error);
                }
                Some((Failure::Connection, error)) => {
                    waiting.into_iter().for_each(|request| refuse(request, &error));
                    return End::Reopen;
                }
                None => {}
            }
            if is_due {
                looked = Instant::now();
                self.look(connection, &mut version);
                self.checkpoints.tick(is_idle);
            }
        }
    }

    /// Waits for a request, and takes the ones behind it that are there already.
    fn receive(&self, waiting: &mut VecDeque<Request>) -> Result<(), RecvTimeoutError> {
        if waiting.is_empty() {
            waiting.push_back(self.requests.recv_timeout(LOOK_INTERVAL)?);
        }
        waiting.extend(self.requests.try_iter().take(MOST_STEPS.saturating_sub(waiting.len())));
        Ok(())
    }

    /// Performs the first waiting requests: several steps in one transaction, or a request of another kind.
    fn perform(&self, connection: &Connection, session: &mut Session<'_>, waiting: &mut VecDeque<Request>) {
        if let Some(Request::Write(..)) = waiting.front() {
            return self.checkpoints.with_writer(|| self.transaction(connection, session, waiting));
        }
        match waiting.pop_front() {
            Some(Request::App(name, reply)) => {
                let number = schema::app_number(connection, &name).map(AppKeys::new);
                drop(reply.send(number.map_err(|error| session.failed(error))));
            }
            #[cfg(test)]
            Some(Request::Change(change)) => change(connection),
            Some(Request::Write(..)) | None => {}
        }
    }

    /// Commits the first waiting steps together, and reports their results.
    fn transaction(&self, connection: &Connection, session: &mut Session<'_>, waiting: &mut VecDeque<Request>) {
        let mut groups = Vec::new();
        let committed = self.begin(connection, waiting).map_err(|error| session.failed(error)).and_then(|()| {
            let start = Instant::now();
            while let Some((app, mut group)) = next_group(waiting) {
                let ran = run(&app, &mut group, session);
                groups.push(group);
                ran?;
                if start.elapsed() >= LONGEST_TRANSACTION {
                    break;
                }
            }
            #[cfg(feature = "failpoints")]
            crate::failpoints::before_commit();
            execute(connection, "COMMIT").map_err(|error| session.failed(error))?;
            #[cfg(feature = "failpoints")]
            crate::failpoints::after_commit();
            Ok(())
        });
        if committed.is_err() {
            if groups.is_empty() {
                // These steps have waited for the lock. Each group would wait as long again.
                groups.extend(std::iter::from_fn(|| next_group(waiting)).map(|(_, group)| group));
            }
            if !connection.is_autocommit() && execute(connection, "ROLLBACK").is_err() {
                session.fail_connection();
            }
        }
        for group in groups {
            group.finish(committed.as_ref().copied().map_err(Error::duplicate));
        }
        self.checkpoints.committed();
    }

    /// Begins a transaction with the durability that the strictest of its steps asks for.
    fn begin(&self, connection: &Connection, waiting: &VecDeque<Request>) -> rusqlite::Result<()> {
        if self.synchronous == Synchronous::Full {
            let steps = waiting.iter().map_while(|request| {
                if let Request::Write(_, step) = request { Some(step.durability()) } else { None }
            });
            let needs_power = steps.max() == Some(Durability::Power);
            set_synchronous(connection, if needs_power { Synchronous::Full } else { Synchronous::Normal })?;
        }
        // A deferred transaction that becomes a writer fails at once if another process has written meanwhile.
        execute(connection, "BEGIN IMMEDIATE")
    }

    /// Looks whether another connection has committed.
    fn look(&self, connection: &Connection, version: &mut Option<i64>) {
        let found = data_version(connection);
        if found != *version {
            *version = found;
            (self.on_foreign_commit)();
        }
    }
}

/// A number that changes with the commits of other connections.
fn data_version(connection: &Connection) -> Option<i64> {
    connection.prepare_cached("PRAGMA data_version").and_then(|mut found| found.query_row([], |row| row.get(0))).ok()
}

/// Runs the steps of one app. Their time isn't before the times of earlier transactions.
fn run(app: &App, group: &mut Group, session: &mut Session<'_>) -> Result<()> {
    let stored = app.clock.read(session.of_app(app.keys))?;
    if session.has_new_tables() {
        // A newer version of pynenc may have migrated the file.
        schema::check_version(session.path(), session.connection()).inspect_err(|error| session.fail(error))?;
    }
    let writes = session.writes();
    group.run(session)?;
    if session.writes() == writes {
        return Ok(());
    }
    app.clock.store(stored, session)
}

/// Takes the next steps of one app.
fn next_group(waiting: &mut VecDeque<Request>) -> Option<(Arc<App>, Group)> {
    let Some(Request::Write(app, _)) = waiting.front() else { return None };
    let app = app.clone();
    let mut steps = Vec::new();
    while let Some(Request::Write(of, _)) = waiting.front()
        && Arc::ptr_eq(of, &app)
        && steps.len() < STEPS_OF_A_GROUP
        && let Some(Request::Write(_, step)) = waiting.pop_front()
    {
        steps.push(step);
    }
    Some((app, Group::new(steps)))
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.raw_execute().map(drop)
}

fn refuse(request: Request, error: &Error) {
    match request {
        Request::Write(_, step) => step.finished(Err(error.duplicate())),
        Request::App(_, reply) => drop(reply.send(Err(error.duplicate()))),
        #[cfg(test)]
        Request::Change(_) => {}
    }
}
