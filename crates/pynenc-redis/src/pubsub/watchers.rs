//! The watchers of completions in this process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use pynenc_core::orchestrator::Completion;
use pynenc_core::{InvocationId, StatusRecord};
use rustc_hash::FxHashMap;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

#[derive(Default)]
pub(super) struct Watchers(Mutex<ByInvocation>);

#[derive(Default)]
struct ByInvocation {
    last_number: u64,
    by_id: FxHashMap<InvocationId, Vec<Watcher>>,
}

#[derive(Clone)]
struct Watcher {
    number: u64,
    sender: UnboundedSender<Completion>,
}

/// A watch on the completions of some invocations.
pub(crate) struct Watch {
    number: u64,
    pub(crate) stream: BoxStream<'static, Completion>,
}

impl Watchers {
    pub(super) fn add(&self, ids: &[InvocationId]) -> Watch {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut watchers = self.lock();
        watchers.last_number += 1;
        let number = watchers.last_number;
        for id in ids {
            watchers.add(*id, Watcher { number, sender: sender.clone() });
        }
        Watch { number, stream: stream_of(receiver) }
    }

    /// Reports an earlier completion to one watch, unless a message has reported the completion meanwhile.
    pub(super) fn report(&self, watch: &Watch, id: InvocationId, record: Option<StatusRecord>) {
        let mut watchers = self.lock();
        let Some(waiting) = watchers.by_id.get_mut(&id) else { return };
        if let Some(index) = waiting.iter().position(|watcher| watcher.number == watch.number) {
            drop(waiting.swap_remove(index).sender.send((id, record)));
        }
        if waiting.is_empty() {
            watchers.by_id.remove(&id);
        }
    }

    /// Reports a completion to all watchers of the invocation.
    pub(super) fn complete(&self, id: InvocationId, record: Option<&StatusRecord>) {
        let waiting = self.lock().by_id.remove(&id).unwrap_or_default();
        // A failed send means that the watcher is gone.
        for watcher in waiting {
            drop(watcher.sender.send((id, record.cloned())));
        }
    }

    /// Reports every watched invocation as unknown.
    pub(super) fn dismiss(&self) {
        for (id, waiting) in std::mem::take(&mut self.lock().by_id) {
            for watcher in waiting {
                drop(watcher.sender.send((id, None)));
            }
        }
    }

    pub(super) fn remove(&self, watch: &Watch, ids: &[InvocationId]) {
        let mut watchers = self.lock();
        for id in ids {
            if let Some(waiting) = watchers.by_id.get_mut(id) {
                waiting.retain(|watcher| watcher.number != watch.number);
            }
        }
        watchers.by_id.retain(|_, waiting| !waiting.is_empty());
    }

    pub(super) fn is_watched(&self, id: InvocationId) -> bool {
        self.lock().by_id.contains_key(&id)
    }

    pub(super) fn ids(&self) -> Vec<InvocationId> {
        self.lock().by_id.keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, ByInvocation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ByInvocation {
    fn add(&mut self, id: InvocationId, watcher: Watcher) {
        let waiting = self.by_id.entry(id).or_default();
        if waiting.len() == waiting.capacity() {
            // Only before the list would grow, so that each add doesn't search a long list.
            waiting.retain(|watcher| !watcher.sender.is_closed());
        }
        waiting.push(watcher);
    }
}

fn stream_of(receiver: UnboundedReceiver<Completion>) -> BoxStream<'static, Completion> {
    stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver))).boxed()
}
