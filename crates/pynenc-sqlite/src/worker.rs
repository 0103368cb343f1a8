//! Threads that end with their owner.

use std::thread::{self, JoinHandle};

use pynenc_core::{Error, Result};

/// A thread. Its owner lets it end, then drops this value to wait for the end.
pub(crate) struct Worker(Option<JoinHandle<()>>);

impl Worker {
    pub(crate) fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<Self> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
        let thread = thread.map_err(|cause| Error::unavailable("can't start a thread").caused_by(cause))?;
        Ok(Self(Some(thread)))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let Some(thread) = self.0.take() else { return };
        // The last owner may be a step, which the thread itself drops.
        if thread.thread().id() != thread::current().id() {
            // A panic was reported by the thread, and its steps have failed.
            drop(thread.join());
        }
    }
}
