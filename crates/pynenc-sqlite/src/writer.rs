//! The thread that performs all writes of a process to one file.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use pynenc_core::{Error, Result};
use pynenc_kv::{Durability, Group, Step};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::checkpoint::Checkpoints;
use crate::config::Synchronous;
use crate::connection::{Role, open, set_synchronous};
use crate::error::{Failure, store_error};
use crate::schema::{self, Kind};
use crate::session::Session;
use crate::sql::AppKeys;

/// The most steps of one transaction, and the time after which a transaction takes no more steps.
const MOST_STEPS: usize = 500;
const LONGEST_TRANSACTION: Duration = Duration::from_millis(5);
/// How often an idle writer looks for commits of other processes.
///
/// Where processes can notify each other, this is the net under a lost notification.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(if cfg!(unix) { 100 } else { 10 });

/// A request to the writer.
pub(crate) enum Request {
    /// Performs a step on the keys of an app.
    Write(AppKeys, Box<dyn Step>),
    /// Finds the number of an app.
    App(Box<str>, oneshot::Sender<Result<AppKeys>>),
}

/// A file as its writer sees it.
pub(crate) struct Writer {
    pub(crate) path: Box<Path>,
    pub(crate) kind: Kind,
    pub(crate) synchronous: Synchronous,
    pub(crate) requests: Receiver<Request>,
    pub(crate) checkpoints: Checkpoints,
    /// Is called when another connection has committed.
    pub(crate) on_foreign_commit: Box<dyn Fn() + Send>,
}

/// The reason why a writer has stopped using a connection.
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
        let mut connection = match self.open() {
            Ok(connection) => {
                drop(opened.send(Ok(())));
                connection
            }
            Err(error) => return drop(opened.send(Err(error))),
        };
        loop {
            match self.serve(&mut connection) {
                End::Closed => return,
                End::Damaged(error) => return self.refuse_all(&error),
                End::Reopen => {}
            }
            connection = match self.reopen() {
                Some(connection) => connection,
                None => return,
            };
        }
    }

    fn open(&self) -> Result<Connection> {
        let mut connection = open(&self.path, Role::Writer(self.synchronous))?;
        schema::migrate(&self.path, &mut connection, self.kind)?;
        self.checkpoints.watch(&connection).map_err(|error| store_error(&self.path, error))?;
        Ok(connection)
    }

    /// Opens another connection. Requests fail until that succeeds.
    fn reopen(&self) -> Option<Connection> {
        loop {
            match self.open() {
                Ok(connection) => return Some(connection),
                Err(error) => refuse(self.requests.recv().ok()?, &error),
            }
        }
    }

    fn refuse_all(&self, error: &Error) {
        self.requests.iter().for_each(|request| refuse(request, error));
    }

    fn serve(&self, connection: &mut Connection) -> End {
        let mut version = None;
        loop {
            // The statements borrow the connection, which has to be free while an app gets its number.
            let next = self.serve_steps(connection, &mut version);
            match next {
                Ok((app, reply)) => {
                    let number = schema::app_number(connection, &app).map(AppKeys::new);
                    drop(reply.send(number.map_err(|error| store_error(&self.path, error))));
                }
                Err(end) => return end,
            }
        }
    }

    /// Performs steps until another request arrives.
    fn serve_steps(
        &self,
        connection: &Connection,
        version: &mut Option<i64>,
    ) -> Result<(Box<str>, oneshot::Sender<Result<AppKeys>>), End> {
        let mut session = Session::new(&self.path, connection);
        let mut looked = Instant::now();
        loop {
            let first = match self.requests.recv_timeout(LOOK_INTERVAL) {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Err(End::Closed),
            };
            let is_idle = first.is_none();
            let (steps, other) = self.collect(first);
            if !steps.is_empty() {
                self.perform(connection, &mut session, steps);
            }
            match session.failure.take() {
                Some((Failure::Damage, error)) => return Err(End::Damaged(error)),
                Some((Failure::Io, _)) => return Err(End::Reopen),
                None => {}
            }
            if is_idle || looked.elapsed() >= LOOK_INTERVAL {
                looked = Instant::now();
                self.look(connection, version);
                self.checkpoints.tick(is_idle);
            }
            if let Some((app, reply)) = other {
                return Ok((app, reply));
            }
        }
    }
}
