//! Datagram sockets.

use std::collections::HashMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::net::Shutdown;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pynenc_kv::{Listener, Notice, Topic};

use super::address::{Address, Subject};
use super::peers::Peers;
use crate::location::beside;
use crate::sql::AppKeys;
use crate::worker::Worker;

/// The sockets of this process for one file.
pub(crate) struct Sockets {
    folder: PathBuf,
    /// The end of the names of these sockets.
    suffix: String,
    inboxes: Mutex<HashMap<Subject, Inbox>>,
    outbox: OnceLock<Option<Outbox>>,
}

impl Sockets {
    pub(crate) fn new(file: &Path) -> Self {
        // Two connections of one process notify each other, as those of two processes do.
        let suffix = format!("-{}-{:08x}", std::process::id(), fastrand::u32(..));
        Self { folder: beside(file, "-wake"), suffix, inboxes: Mutex::default(), outbox: OnceLock::new() }
    }

    /// Passes the notices of other processes to the listener.
    pub(crate) fn subscribe(&self, app: AppKeys, topic: Topic, listener: &Arc<OnceLock<Listener>>) {
        let subject = Subject { app, topic };
        let mut inboxes = self.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
        if inboxes.contains_key(&subject) {
            return;
        }
        match Inbox::open(&self.folder, subject, &self.suffix, listener.clone()) {
            Ok(inbox) => {
                inboxes.insert(subject, inbox);
            }
            // Without the socket, this process looks for commits of the others.
            Err(error) => tracing::warn!(
                folder = %self.folder.display(),
                %error,
                "can't receive notifications of other processes, so calls start up to 100ms later"
            ),
        }
    }

    /// Sends a notice to the other processes that have subscribed.
    pub(crate) fn notify(&self, app: AppKeys, topic: Topic, notice: &[u8]) {
        if let Some(outbox) = self.outbox.get_or_init(|| Outbox::open(&self.folder, &self.suffix).ok()) {
            outbox.send(Subject { app, topic }, notice);
        }
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.inboxes.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        // The last process removes the folder; it fails for the others.
        drop(fs::remove_dir(&self.folder));
    }
}

/// A socket that receives the notices of one subject, with its thread.
struct Inbox {
    address: Address,
    socket: UnixDatagram,
    _thread: Worker,
}

impl Inbox {
    fn open(folder: &Path, subject: Subject, suffix: &str, listener: Arc<OnceLock<Listener>>) -> io::Result<Self> {
        // Another process may remove the empty folder meanwhile.
        let (socket, address) = bind(folder, subject, suffix).or_else(|_| bind(folder, subject, suffix))?;
        let receiver = socket.try_clone()?;
        let receive = move || {
            let mut notice = [0; Topic::MOST_BYTES + 1];
            while let Ok(length) = receiver.recv(&mut notice) {
                match notice[..length].split_first() {
                    Some((_, notice)) => {
                        if let Some(listener) = listener.get() {
                            listener(Notice::Sent(subject.topic, notice));
                        }
                    }
                    // The owner of the inbox is being dropped.
                    None => return,
                }
            }
        };
        let thread = Worker::start("pynenc-sqlite-notices", receive).map_err(io::Error::other)?;
        Ok(Self { address, socket, _thread: thread })
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        // The thread receives an empty datagram. That doesn't need the path, which may be gone.
        drop(self.socket.shutdown(Shutdown::Both));
        drop(fs::remove_file(&self.address.path));
    }
}

fn bind(folder: &Path, subject: Subject, suffix: &str) -> io::Result<(UnixDatagram, Address)> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let address = Address::of(folder, &format!("{}{suffix}", subject.prefix()))?;
    Ok((UnixDatagram::bind(&address.path)?, address))
}

/// Sends notices to the sockets of other processes.
struct Outbox {
    socket: UnixDatagram,
    peers: Mutex<Peers>,
}

impl Outbox {
    fn open(folder: &Path, own: &str) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, peers: Mutex::new(Peers::new(folder, own)) })
    }

    fn send(&self, subject: Subject, notice: &[u8]) {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let names = peers.of(subject);
        if names.is_empty() {
            return;
        }
        // A notice is never empty on the wire: an empty datagram ends the receiver.
        let datagram = [&[1], notice].concat();
        let gone = names.iter().filter(|name| {
            let sent = Address::of(peers.folder(), name).and_then(|to| self.socket.send_to(&datagram, &to.path));
            // A full socket has unread notices. Its owner will look at the store anyway.
            sent.is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock)
        });
        let gone: Vec<String> = gone.cloned().collect();
        gone.iter().for_each(|name| peers.forget(name));
    }
}
