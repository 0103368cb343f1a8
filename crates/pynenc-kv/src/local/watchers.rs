//! Watches on the completions of invocations.

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use pynenc_core::orchestrator::Completion;
use pynenc_core::{InvocationId, StatusRecord};
use rustc_hash::FxHashMap;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// The watchers of unfinished invocations.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    by_id: FxHashMap<InvocationId, Vec<UnboundedSender<Completion>>>,
}

impl Watchers {
    pub(super) fn add(&mut self, id: InvocationId, sender: UnboundedSender<Completion>) {
        let senders = self.by_id.entry(id).or_default();
        if senders.len() == senders.capacity() {
            // Only before the list grows: a long list isn't searched for each new watcher.
            senders.retain(|sender| !sender.is_closed());
        }
        senders.push(sender);
    }

    /// Sends a completion to its watchers, and removes them.
    pub(super) fn notify(&mut self, id: InvocationId, record: &StatusRecord) {
        let senders = self.by_id.remove(&id).unwrap_or_default();
        for sender in &senders {
            // A watcher that is gone needs no notification.
            drop(sender.send((id, Some(record.clone()))));
        }
    }

    /// Removes a watcher. Reports whether it was still there.
    pub(super) fn remove(&mut self, id: InvocationId, sender: &UnboundedSender<Completion>) -> bool {
        let Some(senders) = self.by_id.get_mut(&id) else { return false };
        let before = senders.len();
        senders.retain(|other| !other.same_channel(sender));
        let was_there = senders.len() < before;
        if senders.is_empty() {
            self.by_id.remove(&id);
        }
        was_there
    }

    /// The watched invocations.
    pub(super) fn ids(&self) -> impl Iterator<Item = InvocationId> {
        self.by_id.keys().copied()
    }

    /// Whether an invocation is watched.
    pub(super) fn contains(&self, id: InvocationId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Notifies the watchers of an invocation that it doesn't exist.
    pub(super) fn dismiss_one(&mut self, id: InvocationId) {
        for sender in self.by_id.remove(&id).unwrap_or_default() {
            drop(sender.send((id, None)));
        }
    }

    /// Notifies every watcher that its invocation doesn't exist any more.
    pub(super) fn dismiss(&mut self) {
        for (id, senders) in self.by_id.drain() {
            for sender in &senders {
                drop(sender.send((id, None)));
            }
        }
    }
}

/// A stream of the completions of a channel, until its last sender is gone.
pub(super) fn stream_of(receiver: UnboundedReceiver<Completion>) -> BoxStream<'static, Completion> {
    stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver))).boxed()
}
