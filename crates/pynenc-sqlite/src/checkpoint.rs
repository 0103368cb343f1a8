//! Checkpoints: they move the log into the database file, on a thread of their own.

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pynenc_core::Result;
use rusqlite::Connection;

use crate::config;
use crate::connection::{Role, keep_log, open};
use crate::turns::Turns;
use crate::worker::Worker;

/// The growth of the log between two checkpoints.
const STEP_BYTES: u64 = 4 << 20;
/// From this length on, the writer waits for the checkpoint, so that the log begins anew.
const RESTART_BYTES: u64 = 32 << 20;
/// An idle file keeps a log of this length: moving it costs more than it saves.
const IDLE_BYTES: u64 = 256 << 10;
/// After this time without a commit, a file is idle.
const IDLE_TIME: Duration = Duration::from_secs(1);

/// A kind of checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checkpoint {
    /// Moves as much as possible without waiting for anybody.
    Passive,
    /// Moves everything, so that the next commit begins the log anew.
    Restart,
    /// Does that, and shortens the file of the log.
    Truncate,
}

impl Checkpoint {
    fn sql(self) -> &'static str {
        match self {
            Self::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
            Self::Restart => "PRAGMA wal_checkpoint(RESTART)",
            Self::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
        }
    }
}

thread_local! {
    /// The pages of the log after the last commit of this thread's connection.
    static PAGES: Cell<u64> = const { Cell::new(0) };
}

/// The checkpoints of a file: decides when one is due.
pub(crate) struct Checkpoints {
    /// `None` if another program runs the checkpoints.
    requests: Option<Sender<Checkpoint>>,
    /// Whether a checkpoint is requested or runs.
    is_busy: Arc<AtomicBool>,
    log: Mutex<Log>,
    _thread: Option<Worker>,
}

/// The length of the log.
#[derive(Debug)]
struct Log {
    page: u64,
    bytes: u64,
    /// The length at the last request.
    requested: u64,
    committed: Instant,
}

impl Checkpoints {
    /// Starts the thread, unless another program runs the checkpoints. The owner of `turns` writes to the file.
    pub(crate) fn start<T: Send + 'static>(path: &Path, by: config::Checkpoint, turns: &Arc<Turns<T>>) -> Result<Self> {
        let is_busy = Arc::new(AtomicBool::new(false));
        let (requests, thread) = if by == config::Checkpoint::Auto {
            let (sender, receiver) = mpsc::channel();
            let (path, turns, is_busy) = (Box::from(path), turns.clone(), is_busy.clone());
            let work = move || run(&path, &turns, &is_busy, &receiver);
            let thread = Worker::start("pynenc-sqlite-checkpoint", work)?;
            (Some(sender), Some(thread))
        } else {
            (None, None)
        };
        let log = Log { page: 4096, bytes: 0, requested: 0, committed: Instant::now() };
        Ok(Self { requests, is_busy, log: Mutex::new(log), _thread: thread })
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prepares the writer's connection, and learns the length of the log from its commits.
    pub(crate) fn watch(&self, connection: &Connection) -> rusqlite::Result<()> {
        let page: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        self.log().page = page.into();
        if self.requests.is_none() {
            keep_log(connection)?;
        }
        connection.wal_hook(Some(|_, pages| {
            PAGES.set(u64::try_from(pages).unwrap_or(0));
            Ok(())
        }));
        Ok(())
    }

    /// Requests a checkpoint if the log has grown. Is called after each commit, by the thread that has committed.
    pub(crate) fn committed(&self) {
        let mut log = self.log();
        log.bytes = PAGES.get() * log.page;
        log.committed = Instant::now();
        log.requested = log.requested.min(log.bytes);
        let next = if log.bytes < RESTART_BYTES { Checkpoint::Passive } else { Checkpoint::Restart };
        if log.bytes - log.requested >= STEP_BYTES && self.request(next) {
            log.requested = log.bytes;
        }
    }

    /// Requests a checkpoint if the file is idle. Is called from time to time.
    pub(crate) fn tick(&self) {
        let mut log = self.log();
        if log.bytes >= IDLE_BYTES && log.committed.elapsed() >= IDLE_TIME && self.request(Checkpoint::Truncate) {
            // Until the next commit there is nothing more to do.
            (log.bytes, log.requested) = (0, 0);
        }
    }

    /// Returns whether the request was accepted: one at a time.
    fn request(&self, checkpoint: Checkpoint) -> bool {
        let Some(requests) = &self.requests else { return false };
        !self.is_busy.swap(true, Ordering::AcqRel) && requests.send(checkpoint).is_ok()
    }
}

fn run<T>(path: &Path, turns: &Turns<T>, is_busy: &AtomicBool, requests: &Receiver<Checkpoint>) {
    let mut connection = None;
    for checkpoint in requests {
        if connection.is_none() {
            connection = open(path, Role::Checkpoint).ok();
        }
        // A checkpoint that fails is repeated when the log has grown further. The writer reports errors of the file.
        let done = connection.as_ref().map(|connection| perform(connection, checkpoint, turns));
        if let Some(Err(error)) = done {
            tracing::debug!(file = %path.display(), %error, "a checkpoint of the SQLite file has failed");
            connection = None;
        }
        is_busy.store(false, Ordering::Release);
    }
}

fn perform<T>(connection: &Connection, checkpoint: Checkpoint, turns: &Turns<T>) -> rusqlite::Result<()> {
    let checkpoint_now = |checkpoint: Checkpoint| connection.query_row(checkpoint.sql(), [], |_| Ok(()));
    if checkpoint == Checkpoint::Passive {
        return checkpoint_now(checkpoint);
    }
    // Most of the log is moved beside the writer, so that it waits only for the rest.
    checkpoint_now(Checkpoint::Passive)?;
    let _turn = turns.take();
    checkpoint_now(checkpoint)
}
