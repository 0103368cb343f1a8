//! Outcomes that came with completion messages.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pynenc_core::InvocationId;
use rustc_hash::FxHashMap;

/// The largest number of outcomes that are kept until somebody reads them.
const CAPACITY: usize = 256;

/// The outcomes that weren't read yet. The oldest one makes room for a new one.
#[derive(Default)]
pub(super) struct PushedOutcomes(Mutex<Outcomes>);

#[derive(Default)]
struct Outcomes {
    by_id: FxHashMap<InvocationId, Vec<u8>>,
    order: VecDeque<InvocationId>,
}

impl PushedOutcomes {
    pub(super) fn add(&self, id: InvocationId, stored: &[u8]) {
        let mut outcomes = self.lock();
        if outcomes.by_id.insert(id, stored.to_vec()).is_none() {
            outcomes.order.push_back(id);
        }
        if outcomes.order.len() > CAPACITY {
            let oldest = outcomes.order.pop_front();
            oldest.and_then(|oldest| outcomes.by_id.remove(&oldest));
        }
    }

    pub(super) fn take(&self, id: InvocationId) -> Option<Vec<u8>> {
        self.lock().by_id.remove(&id)
    }

    pub(super) fn clear(&self) {
        *self.lock() = Outcomes::default();
    }

    fn lock(&self) -> MutexGuard<'_, Outcomes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
