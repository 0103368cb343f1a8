//! Brings a fresh invocation into any status, by legal steps.

use pynenc_core::orchestrator::{ClaimReply, Tracked};
use pynenc_core::record::{Registration, WhenBlocked};
use pynenc_core::status::{By, Change, Due};
use pynenc_core::{Reason, RunnerId, Status};

use super::super::sample::{SECOND, limited, running_key};
use super::Given;

impl Given {
    /// An invocation in `status`, under running control with one slot; what isn't due yet is made due. Whoever had
    /// to be in its way has ended, so that a claim finds the slot free.
    pub(super) async fn reached(&self, status: Status) -> Tracked {
        let ended = status == Status::ConcurrencyControlledFinal;
        let when_blocked = if ended { WhenBlocked::End } else { WhenBlocked::Park };
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

    /// Claims it while another holds its one slot. The other holds on, for a parked one would get its slot.
    async fn turned_away(&self, fresh: Tracked) -> Tracked {
        self.occupied().await;
        assert_eq!(self.claimed(fresh.id, RunnerId::new()).await, ClaimReply::Busy);
        self.tracked(fresh.id).await.expect("it is known")
    }

    /// Another invocation that holds the one slot.
    pub(super) async fn occupied(&self) -> Tracked {
        let holder = self.accepted(&limited(1)).await;
        self.granted(holder.id, RunnerId::new()).await
    }

    async fn cancelled(&self, fresh: Tracked) -> Tracked {
        let change = Change::new(Status::Cancelled, By::System, Reason::CancelRequested);
        self.done(&fresh, change).await.0
    }
}
