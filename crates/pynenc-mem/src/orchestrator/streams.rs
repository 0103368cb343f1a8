//! What is pushed to those who listen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use pynenc_core::orchestrator::{Ended, Signal};
use pynenc_core::{InvocationId, RunnerId, StatusRecord};
use rustc_hash::FxHashMap;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// Those who wait for the ends of invocations.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    by_id: FxHashMap<InvocationId, Vec<UnboundedSender<Ended>>>,
}

impl Watchers {
    pub(super) fn add(&mut self, id: InvocationId, sender: UnboundedSender<Ended>) {
        let senders = self.by_id.entry(id).or_default();
        if senders.len() == senders.capacity() {
            // Only before the list would grow, so that a long list isn't searched for each that comes.
            senders.retain(|sender| !sender.is_closed());
        }
        senders.push(sender);
    }

    /// Tells an end to everybody who waits for it, and lets them go.
    pub(super) fn tell(&mut self, id: InvocationId, record: &StatusRecord) {
        let senders = self.by_id.remove(&id).unwrap_or_default();
        // A watcher that has gone away wants no answer.
        for sender in &senders {
            drop(sender.send((id, Some(record.clone()))));
        }
    }

    /// Tells everybody that what they wait for doesn't exist any more.
    pub(super) fn dismiss(&mut self) {
        for (id, senders) in self.by_id.drain() {
            for sender in &senders {
                drop(sender.send((id, None)));
            }
        }
    }
}

/// A stream of what comes through a channel, to the end of its last sender.
pub(super) fn stream_of(receiver: UnboundedReceiver<Ended>) -> BoxStream<'static, Ended> {
    stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver))).boxed()
}

/// The runners that listen for signals.
#[derive(Debug, Default)]
pub(super) struct Signals {
    by_runner: BTreeMap<RunnerId, Vec<Listener>>,
}

#[derive(Debug)]
struct Listener {
    sender: UnboundedSender<Signal>,
    /// Whether it hasn't yet read that the outbox has entries: one word of that is enough.
    knows_of_outbox: Arc<AtomicBool>,
}

impl Signals {
    pub(super) fn listen(&mut self, runner: RunnerId) -> BoxStream<'static, Signal> {
        self.by_runner.retain(|_, listeners| {
            listeners.retain(|listener| !listener.sender.is_closed());
            !listeners.is_empty()
        });
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let knows_of_outbox = Arc::new(AtomicBool::new(false));
        let listener = Listener { sender, knows_of_outbox: knows_of_outbox.clone() };
        self.by_runner.entry(runner).or_default().push(listener);
        stream::poll_fn(move |cx| {
            let signal = receiver.poll_recv(cx);
            if matches!(signal, Poll::Ready(Some(Signal::Outbox))) {
                knows_of_outbox.store(false, Ordering::Release);
            }
            signal
        })
        .boxed()
    }

    pub(super) fn cancel(&self, runner: RunnerId, id: InvocationId) {
        for listener in self.by_runner.get(&runner).into_iter().flatten() {
            drop(listener.sender.send(Signal::Cancel(id)));
        }
    }

    /// Tells everybody that the outbox has entries: not everybody has the code that reacts.
    pub(super) fn outbox(&self) {
        for listener in self.by_runner.values().flatten() {
            if !listener.knows_of_outbox.swap(true, Ordering::AcqRel) {
                drop(listener.sender.send(Signal::Outbox));
            }
        }
    }
}
