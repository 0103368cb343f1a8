//! Brings a new invocation into any status, by legal transitions.

use pynenc_core::orchestrator::{ClaimReply, Tracked};
use pynenc_core::record::{Registration, WhenBlocked};
use pynenc_core::status::{By, Change, Due};
use pynenc_core::{Reason, RunnerId, Status};

use super::super::sample::{SECOND, limited, running_key};
use super::given::Given;

impl Given {
    /// An invocation in `status`, with a running key of one slot. A scheduled one is due.
    pub(super) async fn reached(&self, status: Status) -> Tracked {
        let finishes = status == Status::ConcurrencyControlledFinal;
        let when_blocked = if finishes { WhenBlocked::Drop } else { WhenBlocked::Park };
        self.reached_as(status, when_blocked).await
    }

    pub(super) async fn reached_as(&self, status: Status, when_blocked: WhenBlocked) -> Tracked {
        let due = (status == Status::Scheduled).then_some(Due::In(SECOND));
        let running = Some(running_key(1, when_blocked));
        let registration = Registration { running, due, ..limited(1) };
        let fresh = self.accepted(&registration).await;
        let reached = match status {
            Status::Registered => fresh,
            Status::Scheduled => self.after_a_second(fresh).await,
            Status::ConcurrencyControlled | Status::ConcurrencyControlledFinal => self.turned_away(fresh).await,
            Status::Cancelled => self.cancelled(fresh).await,
            Status::Pending => self.granted(fresh.id, RunnerId::new()).await,
            Status::Rerouted => {
                let pending = self.granted(fresh.id, RunnerId::new()).await;
                self.moved(&pending, Status::Rerouted, Reason::Shutdown).await
            }
            Status::Running | Status::Paused | Status::Retry | Status::Success | Status::Failed => {
                self.after_its_start(fresh, status).await
            }
        };
        assert_eq!(reached.record.status, status);
        reached
    }

    async fn after_its_start(&self, fresh: Tracked, status: Status) -> Tracked {
        let running = self.started(fresh.id, RunnerId::new()).await;
        match status {
            Status::Running => running,
            Status::Paused => self.moved(&running, status, Reason::Waiting).await,
            Status::Success => self.succeeded(&running).await,
            Status::Retry => {
                let retry = self.retried(&running, SECOND).await;
                self.after_a_second(retry).await
            }
            _ => self.moved(&running, status, Reason::Raised).await,
        }
    }

    async fn after_a_second(&self, tracked: Tracked) -> Tracked {
        self.advance(SECOND).await;
        tracked
    }

    /// Claims the invocation while another one holds the slot. The holder keeps the slot, because the parked one would
    /// get it.
    async fn turned_away(&self, fresh: Tracked) -> Tracked {
        self.occupied().await;
        assert_eq!(self.claimed(fresh.id, RunnerId::new()).await, ClaimReply::Busy);
        self.tracked(fresh.id).await.expect("the invocation exists")
    }

    /// Another invocation that holds the slot.
    pub(super) async fn occupied(&self) -> Tracked {
        let holder = self.accepted(&limited(1)).await;
        self.granted(holder.id, RunnerId::new()).await
    }

    async fn cancelled(&self, fresh: Tracked) -> Tracked {
        let change = Change::new(Status::Cancelled, By::System, Reason::CancelRequested);
        self.done(&fresh, change).await.0
    }
}
