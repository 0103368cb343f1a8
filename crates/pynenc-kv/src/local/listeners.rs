//! The parts of this process that listen to an orchestrator.

use futures_util::stream::BoxStream;
use pynenc_core::orchestrator::{Completion, Signal};
use pynenc_core::{InvocationId, RunnerId, StatusRecord};
use rustc_hash::FxHashSet;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::signals::Signals;
use super::watchers::{Watchers, stream_of};
use crate::decisions::orchestrator::Effects;

/// The watchers of invocations, and the runners that listen for signals.
#[derive(Debug, Default)]
pub struct Listeners {
    watchers: Watchers,
    signals: Signals,
    /// Watched invocations whose submit isn't finished.
    submitting: FxHashSet<InvocationId>,
}

impl Listeners {
    /// Adds a watcher of an invocation that hasn't finished.
    pub fn watch(&mut self, id: InvocationId, watcher: &Watcher) {
        self.watchers.add(id, watcher.sender.clone());
    }

    /// Keeps an invocation out of the answers to [`Listeners::watched`] until [`Listeners::submitted`], unless it is asked
    /// for: a reader that doesn't find it would take it for a deleted one.
    pub fn submitting(&mut self, id: InvocationId) {
        self.submitting.insert(id);
    }

    /// Ends [`Listeners::submitting`].
    pub fn submitted(&mut self, id: InvocationId) {
        self.submitting.remove(&id);
    }

    /// Removes a watcher.
    pub fn unwatch(&mut self, id: InvocationId, watcher: &Watcher) {
        self.watchers.remove(id, &watcher.sender);
    }

    /// Reports the state of an invocation to one of its watchers, unless the invocation is unfinished or the watcher
    /// was notified before.
    pub fn found_by(&mut self, watcher: &Watcher, id: InvocationId, record: Option<StatusRecord>) {
        let is_over = record.as_ref().is_none_or(|record| record.status.is_final());
        if is_over && self.watchers.remove(id, &watcher.sender) {
            watcher.report((id, record));
        }
    }

    /// Reports the state of an invocation to its watchers, unless the invocation is unfinished.
    pub fn found(&mut self, id: InvocationId, record: Option<&StatusRecord>) {
        match record {
            Some(record) if record.status.is_final() => self.watchers.notify(id, record),
            Some(_) => {}
            None => self.watchers.dismiss_one(id),
        }
    }

    /// The watched invocations among some, or all watched ones.
    pub fn watched(&self, among: Option<&[InvocationId]>) -> Vec<InvocationId> {
        match among {
            Some(ids) => ids.iter().copied().filter(|id| self.watchers.contains(*id)).collect(),
            None => self.watchers.ids().filter(|id| !self.submitting.contains(id)).collect(),
        }
    }

    /// Adds a runner that listens for signals.
    pub fn listen(&mut self, runner: RunnerId) -> BoxStream<'static, Signal> {
        self.signals.listen(runner)
    }

    /// Notifies every watcher that its invocation doesn't exist any more.
    pub fn dismiss_watchers(&mut self) {
        self.watchers.dismiss();
    }
}

impl Effects for Listeners {
    fn completed(&mut self, id: InvocationId, record: &StatusRecord) {
        self.watchers.notify(id, record);
    }

    fn cancel_requested(&mut self, owner: RunnerId, id: InvocationId) {
        self.signals.cancel(owner, id);
    }

    fn outbox_grew(&mut self) {
        self.signals.outbox();
    }
}

/// A watcher of completions, before its stream is given away.
#[derive(Debug)]
pub struct Watcher {
    sender: UnboundedSender<Completion>,
    receiver: UnboundedReceiver<Completion>,
}

impl Default for Watcher {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { sender, receiver }
    }
}

impl Watcher {
    /// Reports the completion of an invocation, or that it doesn't exist.
    pub fn report(&self, completion: Completion) {
        // The receiver is alive, so the send succeeds.
        drop(self.sender.send(completion));
    }

    /// The stream of the completions, which ends with the last.
    pub fn into_stream(self) -> BoxStream<'static, Completion> {
        stream_of(self.receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watched_invocation_is_looked_for_only_when_its_submit_is_finished() {
        let (mut listeners, watcher, id) = (Listeners::default(), Watcher::default(), InvocationId::new());
        listeners.submitting(id);
        listeners.watch(id, &watcher);
        assert_eq!((listeners.watched(None), listeners.watched(Some(&[id]))), (vec![], vec![id]));
        listeners.submitted(id);
        assert_eq!(listeners.watched(None), [id]);
    }
}
