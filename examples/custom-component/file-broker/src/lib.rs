//! A broker of one's own: hints in a directory, one file each. The crate depends on `pynenc-core` alone.
//!
//! What is queued survives a restart. One process at a time may use a directory, each change is a short write on the
//! calling thread, and a pop looks through all hints: enough for some thousands of them on a local disk.
//!
//! It may be this simple because a broker only hints. A hint that is lost is pushed again by the sweep, and one that is
//! repeated, or left over, is refused by the orchestrator.

mod config;
mod hints;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pynenc_core::broker::{Message, Pop, QueueLen};
use pynenc_core::{Broker, Clock, Components, InvocationId, Plugin, QueueName, Result, async_trait};
use tokio::sync::Notify;

pub use config::FileBrokerConfig;
use hints::Hints;

/// Brings the [`FileBroker`] to an app: `Pynenc::builder().plugin(FilePlugin)`.
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

/// Hints in a directory.
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
    /// Opens a directory, with the hints that it holds; it is made if it isn't there.
    ///
    /// # Errors
    ///
    /// The directory can't be made or read.
    pub fn open(directory: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        Ok(Self { hints: Mutex::new(Hints::open(directory)?), pushed: Notify::new(), clock })
    }

    fn hints(&self) -> MutexGuard<'_, Hints> {
        self.hints.lock().unwrap_or_else(PoisonError::into_inner)
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
            pushed.as_mut().enable(); // before the look, so that no push falls between look and wait
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

    async fn len(&self, queue: &QueueName) -> Result<QueueLen> {
        Ok(self.hints().len(queue, self.clock.now()))
    }

    async fn place(&self, queue: &QueueName, id: InvocationId) -> Result<Option<u64>> {
        Ok(self.hints().place(queue, id, self.clock.now()))
    }

    async fn purge(&self) -> Result<()> {
        self.hints().purge()
    }
}
