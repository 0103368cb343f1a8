//! A broker that keeps its queues in a directory, with one file for each message. The crate depends on `pynenc-core`
//! only.
//!
//! The queues survive a restart. Limits of this simple broker: only one process at a time may use the directory, a
//! write blocks the calling thread, and a pop searches all messages. That is enough for some thousands of messages on a
//! local disk.
//!
//! A broker can be this simple because its messages are hints: "this invocation may be ready to run". If a hint is
//! lost, the sweep pushes it again. If a hint is repeated or out of date, the orchestrator refuses the claim.

mod config;
mod hints;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pynenc_core::broker::{Message, Pop, QueueState};
use pynenc_core::{Broker, Clock, Component, Components, InvocationId, Plugin, QueueName, Result, async_trait};
use tokio::sync::Notify;

pub use config::FileBrokerConfig;
use hints::Hints;

/// Registers the [`FileBroker`] with an app: `Pynenc::builder().plugin(FilePlugin)`.
#[derive(Debug, Clone, Copy)]
pub struct FilePlugin;

impl Plugin for FilePlugin {
    fn register(&self, components: &mut Components) {
        components.broker("file_broker::FileBroker", |cx| async move {
            let config: FileBrokerConfig = cx.config.section()?;
            FileBroker::open(&config.directory, cx.clock)
        });
    }
}

/// A broker that keeps its hints in a directory.
pub struct FileBroker {
    hints: Mutex<Hints>,
    pushed: Notify,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for FileBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileBroker").finish_non_exhaustive()
    }
}

impl FileBroker {
    /// Opens the directory and reads its hints. Creates the directory if it is missing.
    ///
    /// # Errors
    ///
    /// Returns an error if the directory can't be created or read.
    pub fn open(directory: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        Ok(Self { hints: Mutex::new(Hints::open(directory)?), pushed: Notify::new(), clock })
    }

    fn hints(&self) -> MutexGuard<'_, Hints> {
        self.hints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Component for FileBroker {
    async fn purge(&self) -> Result<()> {
        self.hints().purge()
    }
}

#[async_trait]
impl Broker for FileBroker {
    async fn push(&self, messages: &[Message]) -> Result<()> {
        let kept = messages.iter().try_for_each(|message| self.hints().push(message, self.clock.now()));
        self.pushed.notify_waiters();
        kept
    }

    async fn pop(&self, pop: &Pop) -> Result<Vec<InvocationId>> {
        let deadline = self.clock.now() + pop.wait;
        loop {
            let mut pushed = std::pin::pin!(self.pushed.notified());
            // Listen before searching. A push between the search and the wait then ends the wait.
            pushed.as_mut().enable();
            let now = self.clock.now();
            let ids = self.hints().take(pop, now)?;
            if !ids.is_empty() || pop.max == 0 || now >= deadline {
                return Ok(ids);
            }
            let until = self.hints().next_due(&pop.queues).map_or(deadline, |due| due.min(deadline));
            tokio::select! {
                () = pushed => {}
                () = self.clock.sleep_until(until) => {}
            }
        }
    }

    async fn remove(&self, queue: &QueueName, ids: &[InvocationId]) -> Result<()> {
        ids.iter().try_for_each(|id| self.hints().remove(queue, *id))
    }

    async fn queue(&self, queue: &QueueName, position_of: Option<InvocationId>) -> Result<QueueState> {
        Ok(self.hints().state(queue, position_of, self.clock.now()))
    }
}
