//! Signals that tell a runner to drain and to stop.

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    Draining,
    Now,
}

/// Signals runners to drain and to stop; the counterpart of [`Stop`].
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<Phase>);

/// The stop signals as a runner receives them.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Phase>);

/// Creates a connected pair of [`Stopper`] and [`Stop`].
pub fn stop_pair() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(Phase::Running);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Sends the first signal: runners claim nothing more, and running task functions have the grace time to finish.
    pub fn drain(&self) {
        self.raise(Phase::Draining);
    }

    /// Sends the second signal: the grace time is over.
    pub fn now(&self) {
        self.raise(Phase::Now);
    }

    fn raise(&self, phase: Phase) {
        self.0.send_if_modified(|current| {
            let later = phase > *current;
            *current = phase.max(*current);
            later
        });
    }
}

impl Stop {
    /// Returns whether the first signal was sent, so that nothing more may be claimed.
    pub fn is_draining(&self) -> bool {
        *self.0.borrow() >= Phase::Draining
    }

    /// Waits for the first signal. Returns too when every [`Stopper`] was dropped.
    pub async fn draining(&mut self) {
        let _ = self.0.wait_for(|phase| *phase >= Phase::Draining).await;
    }

    /// Waits for the second signal. Returns too when every [`Stopper`] was dropped.
    pub async fn now(&mut self) {
        let _ = self.0.wait_for(|phase| *phase >= Phase::Now).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_later_drain_does_not_take_back_a_stop() {
        let (stopper, mut stop) = stop_pair();
        assert!(!stop.is_draining());
        stopper.now();
        stopper.drain();
        stop.draining().await;
        stop.now().await;
    }

    #[tokio::test]
    async fn dropping_the_stopper_stops() {
        let (stopper, mut stop) = stop_pair();
        drop(stopper);
        stop.now().await;
    }
}
