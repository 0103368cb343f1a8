//! A thread that performs the steps of a store, several of them in one transaction.

use std::fmt;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use pynenc_core::{Error, Result};

use crate::stores::group::Group;
use crate::stores::key_value::Step;

/// A thread that performs steps in their order. Steps that arrive during a transaction share the next one.
///
/// Dropping the writer performs the steps that were sent before, and ends the thread.
pub struct Writer {
    sender: Option<Sender<Box<dyn Step>>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts the thread. `perform` runs and finishes each [`Group`], of at most `most` steps.
    ///
    /// # Errors
    ///
    /// The operating system can't start the thread.
    pub fn start(name: &str, most: usize, mut perform: impl FnMut(Group) + Send + 'static) -> Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let work = move || {
            while let Some(group) = next_group(&receiver, most) {
                perform(group);
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
        let thread = thread.map_err(|error| Error::unavailable("can't start a thread").caused_by(error))?;
        Ok(Self { sender: Some(sender), thread: Some(thread) })
    }

    /// Passes a step to the thread, without waiting.
    pub fn send(&self, step: Box<dyn Step>) {
        if let Some(sender) = &self.sender {
            // If the thread has ended by a panic, the step is dropped and so reports an error.
            drop(sender.send(step));
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.sender = None;
        let Some(thread) = self.thread.take() else { return };
        // The last owner of the store may be a step, which is dropped by the thread itself.
        if thread.thread().id() != thread::current().id() {
            // A panic was reported by the thread, and its steps have failed.
            drop(thread.join());
        }
    }
}

/// Waits for a step, and takes the steps behind it that are there already.
fn next_group(receiver: &Receiver<Box<dyn Step>>, most: usize) -> Option<Group> {
    let mut steps = vec![receiver.recv().ok()?];
    steps.extend(receiver.try_iter().take(most.saturating_sub(1)));
    Some(Group::new(steps))
}
