//! How a runner is told to end.

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    Draining,
    Now,
}

/// Tells runners to end; the counterpart of [`Stop`].
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<Phase>);

/// What a runner listens to.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Phase>);

/// A connected pair.
pub fn stop_pair() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(Phase::Running);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// The first signal: nothing more is claimed, and bodies have the grace time to end.
    pub fn drain(&self) {
        self.raise(Phase::Draining);
    }

    /// The second signal: the grace time is over.
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
    /// Whether nothing more is to be claimed.
    pub fn is_draining(&self) -> bool {
        *self.0.borrow() >= Phase::Draining
    }

    /// Ends at the first signal, and when nobody is left to send one.
    pub async fn draining(&mut self) {
        let _ = self.0.wait_for(|phase| *phase >= Phase::Draining).await;
    }

    /// Ends at the second signal, and when nobody is left to send one.
    pub async fn now(&mut self) {
        let _ = self.0.wait_for(|phase| *phase >= Phase::Now).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stop_never_goes_back() {
        let (stopper, mut stop) = stop_pair();
        assert!(!stop.is_draining());
        stopper.now();
        stopper.drain();
        stop.draining().await;
        stop.now().await;
    }

    #[tokio::test]
    async fn a_dropped_stopper_stops() {
        let (stopper, mut stop) = stop_pair();
        drop(stopper);
        stop.now().await;
    }
}
