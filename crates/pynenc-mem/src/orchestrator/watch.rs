//! Watching invocations.

use std::collections::BTreeSet;

use futures_util::stream::BoxStream;
use pynenc_core::InvocationId;
use pynenc_core::orchestrator::Completion;
use tokio::sync::mpsc;

use super::state::State;
use super::watchers::stream_of;

impl State {
    /// Reports earlier completions, and watches the unfinished invocations.
    pub(super) fn watch(&mut self, ids: &[InvocationId]) -> BoxStream<'static, Completion> {
        let (sender, receiver) = mpsc::unbounded_channel();
        for id in ids.iter().copied().collect::<BTreeSet<_>>() {
            let record = self.entries.get(&id).map(|entry| entry.record());
            if record.is_some_and(|record| !record.status.is_final()) {
                self.watchers.add(id, sender.clone());
            } else {
                // The receiver is alive in this function, so the send succeeds.
                drop(sender.send((id, record.cloned())));
            }
        }
        stream_of(receiver)
    }
}
