//! The places of a runner: how many bodies run at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

/// Counts bodies that run. Those that go on after a wait come before those that begin, and one that has taken down
/// runners before runs alone.
#[derive(Debug, Clone)]
pub(crate) struct Slots(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    freed: Notify,
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

/// How a body wants to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// It begins.
    Start,
    /// It goes on after a wait.
    Resume,
    /// It begins, and nothing else runs meanwhile.
    Alone,
}

/// A place, or a place in the line for one; dropped, it goes to the next.
#[derive(Debug)]
pub(crate) enum Reservation {
    Held(Permit),
    Waiting(oneshot::Receiver<Permit>),
}

impl Reservation {
    /// Waits until the place is there.
    pub(crate) async fn permit(self) -> Permit {
        match self {
            Self::Held(permit) => permit,
            Self::Waiting(receiver) => {
                receiver.await.expect("the slots outlive those who wait, and grant or keep every sender")
            }
        }
    }
}

/// A place; dropped, it goes to the next.
#[derive(Debug)]
pub(crate) struct Permit {
    slots: Slots,
    is_alone: bool,
    is_settling: bool,
}

impl Slots {
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State {
            capacity,
            taken: 0,
            settling: 0,
            is_alone: false,
            resuming: VecDeque::new(),
            starting: VecDeque::new(),
            alone: VecDeque::new(),
        };
        Self(Arc::new(Shared { state: Mutex::new(state), freed: Notify::new() }))
    }

    /// Waits until more could be claimed, and tells how many. What ends together is claimed for together.
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

    /// Whether somebody has to wait already, or runs alone.
    pub(crate) fn is_crowded(&self) -> bool {
        let state = self.lock();
        state.is_alone || !(state.starting.is_empty() && state.resuming.is_empty() && state.alone.is_empty())
    }

    /// Takes a place, or a place in the line for one.
    pub(crate) fn reserve(&self, entry: Entry) -> Reservation {
        let receiver = {
            let mut state = self.lock();
            if entry != Entry::Alone && state.free() > 0 && state.resuming.is_empty() {
                state.taken += 1;
                return Reservation::Held(self.permit(false));
            }
            let (sender, receiver) = oneshot::channel();
            match entry {
                Entry::Start => state.starting.push_back(sender),
                Entry::Resume => state.resuming.push_back(sender),
                Entry::Alone => state.alone.push_back(sender),
            }
            receiver
        };
        self.grant();
        Reservation::Waiting(receiver)
    }

    /// Gives places to those who wait, as long as there are any.
    fn grant(&self) {
        loop {
            let Some((sender, is_alone)) = self.lock().next() else { break };
            // A permit that can't be delivered is dropped here, outside the lock, and goes to the next.
            let _ = sender.send(self.permit(is_alone));
        }
        self.0.freed.notify_one();
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
    /// Gives the place to the next, because the body has ended; what is left is to settle it. As many may settle as run,
    /// so that a store which doesn't answer isn't left behind further and further. Who runs alone settles alone too.
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

    fn start(slots: &Slots) -> Option<Permit> {
        slots.reserve(Entry::Start).permit().now_or_never()
    }

    #[test]
    fn who_resumes_comes_before_who_starts() {
        let slots = Slots::new(1);
        let first = start(&slots).unwrap();
        let mut starting = Box::pin(slots.reserve(Entry::Start).permit());
        let mut resuming = Box::pin(slots.reserve(Entry::Resume).permit());
        assert!((&mut starting).now_or_never().is_none() && (&mut resuming).now_or_never().is_none());
        drop(first);
        assert!((&mut starting).now_or_never().is_none());
        let resumed = (&mut resuming).now_or_never().unwrap();
        drop(resumed);
        assert!((&mut starting).now_or_never().is_some());
    }

    #[test]
    fn who_runs_alone_waits_for_the_others_and_keeps_them_out() {
        let slots = Slots::new(4);
        let others = [start(&slots).unwrap(), start(&slots).unwrap()];
        let mut alone = Box::pin(slots.reserve(Entry::Alone).permit());
        assert!((&mut alone).now_or_never().is_none());
        assert!(start(&slots).is_none(), "nothing begins while one waits to be alone");
        drop(others);
        let permit = (&mut alone).now_or_never().unwrap();
        assert!(start(&slots).is_none() && slots.free().now_or_never().is_none());
        drop(permit);
        assert_eq!(slots.free().now_or_never(), Some(4));
    }

    #[test]
    fn who_settles_has_left_its_place_unless_too_many_do() {
        let slots = Slots::new(1);
        let mut first = start(&slots).unwrap();
        first.settle();
        assert_eq!(slots.free().now_or_never(), Some(1));
        let mut second = start(&slots).unwrap();
        second.settle();
        assert!(slots.free().now_or_never().is_none(), "two wait for their store");
        drop(first);
        assert_eq!(slots.free().now_or_never(), Some(1));
    }

    #[test]
    fn who_runs_alone_waits_for_those_who_settle_and_settles_alone() {
        let slots = Slots::new(4);
        let mut other = start(&slots).unwrap();
        other.settle();
        let mut alone = Box::pin(slots.reserve(Entry::Alone).permit());
        assert!((&mut alone).now_or_never().is_none());
        drop(other);
        let mut permit = (&mut alone).now_or_never().unwrap();
        permit.settle();
        assert!(start(&slots).is_none());
    }

    #[test]
    fn a_place_that_nobody_waits_for_any_more_goes_to_the_next() {
        let slots = Slots::new(1);
        let first = start(&slots).unwrap();
        let mut gone = Box::pin(slots.reserve(Entry::Start).permit());
        let mut next = Box::pin(slots.reserve(Entry::Start).permit());
        assert!((&mut gone).now_or_never().is_none() && (&mut next).now_or_never().is_none());
        drop(gone);
        drop(first);
        assert!((&mut next).now_or_never().is_some());
    }

    #[test]
    fn who_starts_alone_while_one_resumes_waits_too() {
        let slots = Slots::new(1);
        let first = start(&slots).unwrap();
        let mut alone = Box::pin(slots.reserve(Entry::Alone).permit());
        let mut resuming = Box::pin(slots.reserve(Entry::Resume).permit());
        assert!((&mut alone).now_or_never().is_none() && (&mut resuming).now_or_never().is_none());
        drop(first);
        let resumed = (&mut resuming).now_or_never().unwrap();
        assert!((&mut alone).now_or_never().is_none());
        drop(resumed);
        assert!((&mut alone).now_or_never().is_some());
    }
}
