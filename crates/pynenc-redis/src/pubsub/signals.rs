//! The runners of this process that listen for signals.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use pynenc_core::orchestrator::Signal;
use pynenc_core::{InvocationId, RunnerId};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

#[derive(Default)]
pub(super) struct SignalListeners(Mutex<Vec<Listener>>);

struct Listener {
    runner: RunnerId,
    channel: Vec<u8>,
    sender: UnboundedSender<Signal>,
    /// Whether a signal about the outbox is unread. One is enough.
    has_outbox_signal: Arc<AtomicBool>,
}

impl SignalListeners {
    /// Adds a listener. Returns its signals, and the channels that have no listener any more.
    pub(super) fn add(&self, runner: RunnerId, channel: Vec<u8>) -> (BoxStream<'static, Signal>, Vec<Vec<u8>>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let has_outbox_signal = Arc::<AtomicBool>::default();
        let mut listeners = self.lock();
        let (open, closed): (Vec<_>, Vec<_>) = listeners.drain(..).partition(|listener| !listener.sender.is_closed());
        *listeners = open;
        listeners.push(Listener { runner, channel, sender, has_outbox_signal: has_outbox_signal.clone() });
        let is_needed = |closed: &Listener| listeners.iter().any(|listener| listener.channel == closed.channel);
        let unused = closed.iter().filter(|closed| !is_needed(closed)).map(|closed| closed.channel.clone()).collect();
        (stream_of(receiver, has_outbox_signal), unused)
    }

    pub(super) fn channels(&self) -> Vec<Vec<u8>> {
        self.lock().iter().map(|listener| listener.channel.clone()).collect()
    }

    /// Signals a cancel request to the runner of a channel, whose name ends with the runner's id.
    pub(super) fn cancel(&self, id: InvocationId, channel: &[u8]) {
        let runner = channel.last_chunk::<16>().map(|bytes| RunnerId::from_bytes(*bytes));
        for listener in self.lock().iter().filter(|listener| Some(listener.runner) == runner) {
            drop(listener.sender.send(Signal::Cancel(id)));
        }
    }

    /// Signals new outbox entries to every runner: not every runner has the code that handles them.
    pub(super) fn outbox(&self) {
        for listener in self.lock().iter() {
            if !listener.has_outbox_signal.swap(true, Ordering::AcqRel) {
                drop(listener.sender.send(Signal::Outbox));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stream_of(
    mut receiver: UnboundedReceiver<Signal>,
    has_outbox_signal: Arc<AtomicBool>,
) -> BoxStream<'static, Signal> {
    stream::poll_fn(move |cx| {
        let signal = receiver.poll_recv(cx);
        if matches!(signal, Poll::Ready(Some(Signal::Outbox))) {
            has_outbox_signal.store(false, Ordering::Release);
        }
        signal
    })
    .boxed()
}
