//! An open file: its threads, and the listeners of this process.

use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use pynenc_core::{Error, Result};
use pynenc_kv::{Listener, Notice, Step, Topic};
use tokio::sync::oneshot;

use crate::config::{Checkpoint, Synchronous};
use crate::readers::Readers;
use crate::schema::Kind;
use crate::sockets::Sockets;
use crate::sql::AppKeys;
use crate::worker::Worker;
use crate::write_connection::{App, Request, WriteConnection};
use crate::writer::Writer;

/// Identifies an open file, with the settings of its connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FileKey {
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
    pub(crate) synchronous: Synchronous,
    pub(crate) checkpoint: Checkpoint,
}

/// The listener of an app, once it is set.
pub(crate) type ListenerSlot = OnceLock<Listener>;

/// An open file. Its fields are dropped in this order: a thread ends when its sender is gone.
pub(crate) struct File {
    key: FileKey,
    requests: Sender<Request>,
    readers: Readers,
    _writer: Worker,
    connection: Arc<WriteConnection>,
    sockets: Sockets,
    listeners: Arc<Listeners>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("path", &self.key.path).finish_non_exhaustive()
    }
}

impl File {
    /// Opens a file and starts its threads.
    pub(crate) async fn open(key: &FileKey) -> Result<Self> {
        let path = key.path.as_path();
        let (requests, receiver) = mpsc::channel();
        let listeners = Arc::new(Listeners::default());
        let look_again = listeners.clone();
        let connection = Arc::new(WriteConnection::new(path, key.kind, key.synchronous, key.checkpoint)?);
        let writer = Writer {
            connection: connection.clone(),
            requests: receiver,
            on_foreign_commit: Box::new(move || look_again.look_again()),
        };
        let (opened, is_open) = oneshot::channel();
        let thread = Worker::start("pynenc-sqlite-write", move || writer.run(opened))?;
        is_open.await.map_err(|_| ended(&key.path))??;
        Ok(Self {
            key: key.clone(),
            requests,
            readers: Readers::start(path, key.checkpoint)?,
            _writer: thread,
            connection,
            sockets: Sockets::new(path),
            listeners,
        })
    }

    pub(crate) fn key(&self) -> &FileKey {
        &self.key
    }

    /// Finds the number of an app.
    pub(crate) async fn app(&self, name: &str) -> Result<AppKeys> {
        let (reply, number) = oneshot::channel();
        self.connection.queue();
        drop(self.requests.send(Request::App(name.into(), reply)));
        number.await.map_err(|_| ended(&self.key.path))?
    }

    pub(crate) fn write(&self, app: &Arc<App>, step: Box<dyn Step>) {
        let Some(step) = self.connection.write_now(app, step) else { return };
        self.connection.queue();
        // If the thread has ended by a panic, the step is dropped and so reports an error.
        drop(self.requests.send(Request::Write(app.clone(), step)));
    }

    /// Changes the connection that writes.
    #[cfg(test)]
    pub(crate) fn change(&self, change: impl FnOnce(&rusqlite::Connection)) {
        self.connection.with(change).unwrap();
    }

    pub(crate) fn read(&self, app: AppKeys, step: Box<dyn Step>) {
        if let Some(step) = self.connection.read_now(app, step) {
            self.readers.send(app, step);
        }
    }

    /// Calls the listener when another connection has committed.
    pub(crate) fn add_listener(&self, listener: &Arc<ListenerSlot>) {
        self.listeners.add(listener);
    }

    pub(crate) fn subscribe(&self, app: AppKeys, topic: Topic, listener: &Arc<ListenerSlot>) {
        self.sockets.subscribe(app, topic, listener);
    }

    pub(crate) fn notify(&self, app: AppKeys, topic: Topic, notice: &[u8]) {
        self.sockets.notify(app, topic, notice);
    }
}

fn ended(path: &std::path::Path) -> Error {
    Error::unavailable("the thread that writes the SQLite file has ended").with("file", path.display())
}

/// The listeners of the apps that use a file.
#[derive(Default)]
struct Listeners(Mutex<Vec<Weak<ListenerSlot>>>);

impl Listeners {
    fn add(&self, listener: &Arc<ListenerSlot>) {
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(listener));
    }

    fn look_again(&self) {
        let listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for listener in listeners.iter().filter_map(Weak::upgrade) {
            if let Some(listener) = listener.get() {
                listener(Notice::LookAgain);
            }
        }
    }
}
