//! The parts of this process that listen to an orchestrator.

use futures_util::stream::BoxStream;
use pynenc_core::orchestrator::{Completion, Signal};
use pynenc_core::{InvocationId, RunnerId, StatusRecord};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::signals::Signals;
use super::watchers::{Watchers, stream_of};
use crate::decisions::orchestrator::Effects;

/// The watchers of invocations, and the runners that listen for signals.
#[derive(Debug, Default)]
pub struct Listeners {
    watchers: Watchers,
    signals: Signals,
}

impl Listeners {
    /// Adds a watcher of an invocation that hasn't finished.
    pub fn watch(&mut self, id: InvocationId, watcher: &Watcher) {
        self.watchers.add(id, watcher.sender.clone());
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
