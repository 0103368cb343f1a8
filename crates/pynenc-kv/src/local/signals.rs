//! Signals to runners.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use pynenc_core::orchestrator::Signal;
use pynenc_core::{InvocationId, RunnerId};
use tokio::sync::mpsc::{self, UnboundedSender};

/// The runners that listen for signals.
#[derive(Debug, Default)]
pub(super) struct Signals {
    by_runner: BTreeMap<RunnerId, Vec<Listener>>,
}

#[derive(Debug)]
struct Listener {
    sender: UnboundedSender<Signal>,
    /// Whether an unread outbox signal is in the channel: one is enough.
    has_outbox_signal: Arc<AtomicBool>,
}

impl Signals {
    pub(super) fn listen(&mut self, runner: RunnerId) -> BoxStream<'static, Signal> {
        self.by_runner.retain(|_, listeners| {
            listeners.retain(|listener| !listener.sender.is_closed());
            !listeners.is_empty()
        });
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let has_outbox_signal = Arc::new(AtomicBool::new(false));
        let listener = Listener { sender, has_outbox_signal: has_outbox_signal.clone() };
        self.by_runner.entry(runner).or_default().push(listener);
        stream::poll_fn(move |cx| {
            let signal = receiver.poll_recv(cx);
            if matches!(signal, Poll::Ready(Some(Signal::Outbox))) {
                has_outbox_signal.store(false, Ordering::Release);
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

    /// Signals to every runner that the outbox has new entries, because any of them may have the listener's code.
    pub(super) fn outbox(&self) {
        for listener in self.by_runner.values().flatten() {
            if !listener.has_outbox_signal.swap(true, Ordering::AcqRel) {
                drop(listener.sender.send(Signal::Outbox));
            }
        }
    }
}
