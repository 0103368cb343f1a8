//! The slots of a runner: a semaphore over the task functions that run at once.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

/// A runner's slots. An attempt that resumes after a wait gets a slot before an attempt that starts. An attempt that took
/// down runners before runs alone.
#[derive(Debug, Clone)]
pub(crate) struct Slots(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    freed: Notify,
    paused: AtomicUsize,
    max_paused: usize,
}

#[derive(Debug)]
struct State {
    capacity: usize,
    taken: usize,
    settling: usize,
    is_alone: bool,
    resuming: VecDeque<oneshot::Sender<Permit>>,
    starting: VecDeque<oneshot::Sender<Permit>>,
    alone: VecDeque<oneshot::Sender<Permit>>,
}

/// The purpose of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotRequest {
    /// To start.
    Start,
    /// To resume after a wait.
    Resume,
    /// To start, with nothing else running meanwhile.
    Alone,
}

/// A slot, or a position in the line for one. Dropping it gives the slot to the next in line.
#[derive(Debug)]
pub(crate) enum Reservation {
    Held(Permit),
    Waiting(oneshot::Receiver<Permit>),
}

impl Reservation {
    /// Waits for the slot.
    pub(crate) async fn permit(self) -> Permit {
        match self {
            Self::Held(permit) => permit,
            Self::Waiting(receiver) => {
                receiver.await.expect("the slots outlive every reservation, and grant or keep its sender")
            }
        }
    }
}

/// A slot. Dropping it gives the slot to the next in line.
#[derive(Debug)]
pub(crate) struct Permit {
    slots: Slots,
    is_alone: bool,
    is_settling: bool,
}

impl Slots {
    /// Slots for `capacity` attempts, of which at most `max_paused` more may be paused by waits.
    pub(crate) fn new(capacity: usize, max_paused: usize) -> Self {
        let state = State {
            capacity,
            taken: 0,
            settling: 0,
            is_alone: false,
            resuming: VecDeque::new(),
            starting: VecDeque::new(),
            alone: VecDeque::new(),
        };
        let (state, paused) = (Mutex::new(state), AtomicUsize::new(0));
        Self(Arc::new(Shared { state, freed: Notify::new(), paused, max_paused }))
    }

    /// Waits until a slot is free, and returns how many are. Yields first, so that slots freed together are counted together.
    pub(crate) async fn free(&self) -> usize {
        loop {
            let freed = self.0.freed.notified();
            let free = self.lock().free();
            if free > 0 {
                return free;
            }
            freed.await;
            tokio::task::yield_now().await;
        }
    }

    /// The number of slots, of taken slots, and of paused attempts.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let paused = self.0.paused.load(Ordering::Acquire);
        let state = self.lock();
        (state.capacity, state.taken, paused)
    }

    /// Whether an attempt waits for a slot, or runs alone.
    pub(crate) fn is_crowded(&self) -> bool {
        let state = self.lock();
        state.is_alone || !(state.starting.is_empty() && state.resuming.is_empty() && state.alone.is_empty())
    }

    /// Takes a slot, or a position in the line for one.
    pub(crate) fn reserve(&self, request: SlotRequest) -> Reservation {
        let receiver = {
            let mut state = self.lock();
            if request != SlotRequest::Alone && state.free() > 0 && state.resuming.is_empty() {
                state.taken += 1;
                return Reservation::Held(self.permit(false));
            }
            let (sender, receiver) = oneshot::channel();
            match request {
                SlotRequest::Start => state.starting.push_back(sender),
                SlotRequest::Resume => state.resuming.push_back(sender),
                SlotRequest::Alone => state.alone.push_back(sender),
            }
            receiver
        };
        self.grant();
        Reservation::Waiting(receiver)
    }

    /// Gives the free slots to those in line.
    fn grant(&self) {
        loop {
            let Some((sender, is_alone)) = self.lock().next() else { break };
            // A permit whose receiver is gone is dropped here, outside the lock, and goes to the next in line.
            let _ = sender.send(self.permit(is_alone));
        }
        self.0.freed.notify_one();
    }

    /// Checks that one more attempt may pause.
    ///
    /// # Errors
    ///
    /// The number of paused attempts, if no more are allowed.
    pub(crate) fn check_paused(&self) -> Result<(), usize> {
        let paused = self.0.paused.load(Ordering::Acquire);
        if paused < self.0.max_paused { Ok(()) } else { Err(paused) }
    }

    /// Counts an attempt that pauses, or one that doesn't pause any more.
    pub(crate) fn count_paused(&self, pauses: bool) {
        if pauses {
            self.0.paused.fetch_add(1, Ordering::AcqRel);
        } else {
            self.0.paused.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn permit(&self, is_alone: bool) -> Permit {
        Permit { slots: self.clone(), is_alone, is_settling: false }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn free(&self) -> usize {
        if self.is_alone || !self.alone.is_empty() {
            return 0;
        }
        let (begun, unsettled) = (self.taken + self.starting.len(), self.taken + self.starting.len() + self.settling);
        self.capacity.saturating_sub(begun).min(self.capacity.saturating_mul(2).saturating_sub(unsettled))
    }

    fn next(&mut self) -> Option<(oneshot::Sender<Permit>, bool)> {
        if self.is_alone || self.taken >= self.capacity {
            return None;
        }
        let waiting = if self.alone.is_empty() { self.starting.pop_front() } else { None };
        let sender = match self.resuming.pop_front() {
            Some(resuming) => {
                waiting.into_iter().for_each(|first| self.starting.push_front(first));
                Some(resuming)
            }
            None => waiting,
        };
        if let Some(sender) = sender {
            self.taken += 1;
            return Some((sender, false));
        }
        if self.taken + self.settling > 0 {
            return None;
        }
        let sender = self.alone.pop_front()?;
        (self.taken, self.is_alone) = (1, true);
        Some((sender, true))
    }
}

impl Permit {
    /// Gives the slot to the next in line, because the task function has returned and only the settlement is left. At most as
    /// many attempts settle as run, so that a slow store limits how much more is started. An attempt that runs alone settles
    /// alone too.
    pub(crate) fn settle(&mut self) {
        if self.is_alone || self.is_settling {
            return;
        }
        self.is_settling = true;
        {
            let mut state = self.slots.lock();
            state.taken -= 1;
            state.settling += 1;
        }
        self.slots.grant();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        {
            let mut state = self.slots.lock();
            if self.is_settling {
                state.settling -= 1;
            } else {
                state.taken -= 1;
            }
            state.is_alone &= !self.is_alone;
        }
        self.slots.grant();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn slots(capacity: usize) -> Slots {
        Slots::new(capacity, 1)
    }

    fn start(slots: &Slots) -> Option<Permit> {
        slots.reserve(SlotRequest::Start).permit().now_or_never()
    }

    #[test]
    fn a_resuming_attempt_comes_before_a_starting_one() {
        let slots = slots(1);
        let first = start(&slots).unwrap();
        let mut starting = Box::pin(slots.reserve(SlotRequest::Start).permit());
        let mut resuming = Box::pin(slots.reserve(SlotRequest::Resume).permit());
        assert!((&mut starting).now_or_never().is_none() && (&mut resuming).now_or_never().is_none());
        drop(first);
        assert!((&mut starting).now_or_never().is_none());
        let resumed = (&mut resuming).now_or_never().unwrap();
        drop(resumed);
        assert!((&mut starting).now_or_never().is_some());
    }

    #[test]
    fn an_attempt_that_runs_alone_waits_for_the_others_and_keeps_them_out() {
        let slots = slots(4);
        let others = [start(&slots).unwrap(), start(&slots).unwrap()];
        let mut alone = Box::pin(slots.reserve(SlotRequest::Alone).permit());
        assert!((&mut alone).now_or_never().is_none());
        assert!(start(&slots).is_none(), "nothing starts while an attempt waits to run alone");
        drop(others);
        let permit = (&mut alone).now_or_never().unwrap();
        assert!(start(&slots).is_none() && slots.free().now_or_never().is_none());
        drop(permit);
        assert_eq!(slots.free().now_or_never(), Some(4));
    }

    #[test]
    fn a_settling_attempt_frees_its_slot_unless_too_many_settle() {
        let slots = slots(1);
        let mut first = start(&slots).unwrap();
        first.settle();
        assert_eq!(slots.free().now_or_never(), Some(1));
        let mut second = start(&slots).unwrap();
        second.settle();
        assert!(slots.free().now_or_never().is_none(), "two settlements are open");
        drop(first);
        assert_eq!(slots.free().now_or_never(), Some(1));
    }

    #[test]
    fn an_attempt_that_runs_alone_waits_for_settlements_and_settles_alone() {
        let slots = slots(4);
        let mut other = start(&slots).unwrap();
        other.settle();
        let mut alone = Box::pin(slots.reserve(SlotRequest::Alone).permit());
        assert!((&mut alone).now_or_never().is_none());
        drop(other);
        let mut permit = (&mut alone).now_or_never().unwrap();
        permit.settle();
        assert!(start(&slots).is_none());
    }

    #[test]
    fn a_slot_whose_reservation_was_dropped_goes_to_the_next() {
        let slots = slots(1);
        let first = start(&slots).unwrap();
        let mut gone = Box::pin(slots.reserve(SlotRequest::Start).permit());
        let mut next = Box::pin(slots.reserve(SlotRequest::Start).permit());
        assert!((&mut gone).now_or_never().is_none() && (&mut next).now_or_never().is_none());
        drop(gone);
        drop(first);
        assert!((&mut next).now_or_never().is_some());
    }

    #[test]
    fn an_attempt_that_starts_alone_waits_for_a_resuming_one() {
        let slots = slots(1);
        let first = start(&slots).unwrap();
        let mut alone = Box::pin(slots.reserve(SlotRequest::Alone).permit());
        let mut resuming = Box::pin(slots.reserve(SlotRequest::Resume).permit());
        assert!((&mut alone).now_or_never().is_none() && (&mut resuming).now_or_never().is_none());
        drop(first);
        let resumed = (&mut resuming).now_or_never().unwrap();
        assert!((&mut alone).now_or_never().is_none());
        drop(resumed);
        assert!((&mut alone).now_or_never().is_some());
    }
}
