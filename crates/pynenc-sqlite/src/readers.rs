//! The threads that read snapshots of a file.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use pynenc_core::Result;
use pynenc_kv::{Group, Step};
use rusqlite::Connection;

use crate::config::Checkpoint;
use crate::connection::{Role, keep_log, open};
use crate::error::store_error;
use crate::session::Session;
use crate::sql::AppKeys;
use crate::worker::Worker;

/// The number of reading threads.
const COUNT: usize = 2;

type Read = (AppKeys, Box<dyn Step>);

/// The reading threads of a file.
pub(crate) struct Readers {
    // Dropped first, which ends the threads.
    requests: Sender<Read>,
    _threads: [Worker; COUNT],
}

impl Readers {
    pub(crate) fn start(path: &Path, checkpoint: Checkpoint) -> Result<Self> {
        let (requests, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let start = || {
            let (path, receiver) = (Box::from(path), receiver.clone());
            Worker::start("pynenc-sqlite-read", move || serve(&path, checkpoint, &receiver))
        };
        Ok(Self { requests, _threads: [start()?, start()?] })
    }

    pub(crate) fn send(&self, app: AppKeys, step: Box<dyn Step>) {
        // If the threads have ended by a panic, the step is dropped and so reports an error.
        drop(self.requests.send((app, step)));
    }
}

fn next(receiver: &Mutex<Receiver<Read>>) -> Option<Read> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// Performs steps, each in a snapshot. The connection is opened for the first step, and again after an error.
fn serve(path: &Path, checkpoint: Checkpoint, receiver: &Mutex<Receiver<Read>>) {
    let mut waiting = next(receiver);
    while let Some((app, step)) = waiting.take() {
        match open_for(path, checkpoint) {
            Ok(connection) => waiting = serve_with(path, &connection, (app, step), receiver),
            Err(error) => {
                step.finished(Err(error));
                waiting = next(receiver);
            }
        }
    }
}

fn open_for(path: &Path, checkpoint: Checkpoint) -> Result<Connection> {
    let connection = open(path, Role::Reader)?;
    if checkpoint == Checkpoint::Off {
        keep_log(&connection).map_err(|error| store_error(path, error))?;
    }
    Ok(connection)
}

/// Performs steps until the connection fails. Returns the next step.
fn serve_with(path: &Path, connection: &Connection, first: Read, receiver: &Mutex<Receiver<Read>>) -> Option<Read> {
    let mut session = Session::new(path, connection);
    let mut next_read = Some(first);
    while let Some((app, step)) = next_read.take() {
        let mut group = Group::new(vec![step]);
        let read = session.snapshot(app, &mut group);
        group.finish(read);
        next_read = next(receiver);
        if session.has_failed() {
            return next_read;
        }
    }
    None
}
