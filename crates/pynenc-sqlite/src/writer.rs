//! The thread that writes to a file, and that looks for commits of other processes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use pynenc_core::Result;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::write_connection::{Request, WriteConnection};

/// The most steps of one transaction.
const MOST_STEPS: usize = 500;
/// How often a writer looks for commits of other processes.
///
/// Where processes notify each other through sockets, this is the net under a lost notification.
const LOOK_INTERVAL: Duration = Duration::from_millis(if cfg!(unix) { 100 } else { 10 });

/// The writer of a file.
pub(crate) struct Writer {
    pub(crate) connection: Arc<WriteConnection>,
    pub(crate) requests: Receiver<Request>,
    /// Is called after a commit of another connection.
    pub(crate) on_foreign_commit: Box<dyn Fn() + Send>,
}

impl Writer {
    /// Opens the file, reports the result, and performs requests until all senders are gone.
    pub(crate) fn run(self, opened: oneshot::Sender<Result<()>>) {
        let open = self.connection.open();
        let is_open = open.is_ok();
        drop(opened.send(open));
        if is_open {
            self.serve();
        }
    }

    fn serve(&self) {
        let mut waiting = VecDeque::new();
        let (mut version, mut looked) = (self.connection.with(data_version).flatten(), Instant::now());
        loop {
            match self.receive(&mut waiting) {
                Ok(()) => self.connection.perform(&mut waiting),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if looked.elapsed() >= LOOK_INTERVAL {
                looked = Instant::now();
                self.connection.check_place();
                self.look(&mut version);
                self.connection.checkpoints().tick();
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

    /// Looks whether another connection has committed.
    fn look(&self, version: &mut Option<i64>) {
        let found = self.connection.with(data_version).flatten();
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
