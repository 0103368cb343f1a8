//! Heartbeats of runners.

use std::ops::Bound;

use pynenc_core::orchestrator::{Heartbeat, HeartbeatReply};
use pynenc_core::{InvocationId, Timestamp};

use super::state::State;

impl State {
    pub(super) fn heartbeat(&mut self, heartbeat: &Heartbeat, now: Timestamp) -> HeartbeatReply {
        let Some((owned, is_introduced)) = self.runners.heartbeat(heartbeat, now) else {
            return HeartbeatReply::Retired;
        };
        let is_marked = |id: &InvocationId| self.entries.get(id).is_some_and(|entry| entry.record().cancel_requested);
        HeartbeatReply::Alive {
            cancel: owned.ascending(Bound::Unbounded).copied().filter(is_marked).collect(),
            is_introduced,
        }
    }
}
