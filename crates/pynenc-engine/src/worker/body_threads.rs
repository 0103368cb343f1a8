//! The threads on which plain bodies run. A thread can't be stopped: a body that ignores its time limit keeps it, and the
//! runtime has only so many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// Where so many bodies have a thread or wait for one, it isn't sure that the next gets one at once: tokio has 512, unless
/// the program says otherwise.
const MANY: usize = 256;
/// Where so many bodies wait for a thread, there is none left.
const WAITING: usize = 8;

/// How many plain bodies have threads, wait for one, and were given up.
#[derive(Debug, Default)]
pub(crate) struct BodyThreads {
    busy: AtomicUsize,
    waiting: AtomicUsize,
    abandoned: AtomicUsize,
    changed: Notify,
}

const QUEUED: u8 = 0;
const RUNNING: u8 = 1;
const ABANDONED: u8 = 2;

/// A body on its way to a thread, or on one.
pub(super) struct BodyThread<T> {
    /// The body's result; `None` if it wasn't allowed to begin.
    pub(super) ended: JoinHandle<Option<T>>,
    begun: Option<oneshot::Receiver<()>>,
    state: Arc<AtomicU8>,
    threads: Arc<BodyThreads>,
}

impl BodyThreads {
    /// Runs a body as soon as there is a thread, if `may_begin` says so then.
    pub(super) fn run<T: Send + 'static>(
        self: &Arc<Self>,
        may_begin: impl FnOnce() -> bool + Send + 'static,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> BodyThread<T> {
        let (told, begun) = oneshot::channel();
        let state = Arc::new(AtomicU8::new(QUEUED));
        let place = Place::new(self.clone(), state.clone());
        let ended = tokio::task::spawn_blocking(move || {
            let mut place = place;
            place.begin();
            // Nobody waits for it where the attempt has ended meanwhile.
            let _ = told.send(());
            may_begin().then(body)
        });
        BodyThread { ended, begun: Some(begun), state, threads: self.clone() }
    }

    /// Whether the next body may have to wait for a thread.
    pub(super) fn are_scarce(&self) -> bool {
        self.busy.load(Ordering::Relaxed) >= MANY || self.waiting.load(Ordering::Relaxed) >= WAITING
    }

    /// How many threads are kept by bodies that were given up.
    pub(crate) fn abandoned(&self) -> usize {
        self.abandoned.load(Ordering::Acquire)
    }

    /// Waits until more than `limit` threads are abandoned.
    pub(crate) async fn are_worn_out(&self, limit: usize) {
        loop {
            let changed = self.changed.notified();
            if self.abandoned() > limit {
                return;
            }
            changed.await;
        }
    }
}

impl<T> BodyThread<T> {
    /// Waits until the body has a thread.
    pub(super) async fn begun(&mut self) {
        if let Some(begun) = &mut self.begun {
            // A sender that is gone belonged to a runtime that has ended.
            let _ = begun.await;
            self.begun = None;
        }
    }

    /// Counts the thread as abandoned, if the body still has it. Tells how many are.
    pub(super) fn abandon(&self) -> Option<usize> {
        let is_running = self.state.compare_exchange(RUNNING, ABANDONED, Ordering::AcqRel, Ordering::Acquire);
        is_running.ok()?;
        let count = self.threads.abandoned.fetch_add(1, Ordering::AcqRel) + 1;
        self.threads.changed.notify_waiters();
        Some(count)
    }
}

/// A body's share in the counters. It is dropped when the body has ended, or will never begin.
struct Place {
    threads: Arc<BodyThreads>,
    state: Arc<AtomicU8>,
    is_waiting: bool,
}

impl Place {
    fn new(threads: Arc<BodyThreads>, state: Arc<AtomicU8>) -> Self {
        threads.busy.fetch_add(1, Ordering::Relaxed);
        threads.waiting.fetch_add(1, Ordering::Relaxed);
        Self { threads, state, is_waiting: true }
    }

    fn begin(&mut self) {
        self.is_waiting = false;
        self.threads.waiting.fetch_sub(1, Ordering::Relaxed);
        self.state.store(RUNNING, Ordering::Release);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.threads.busy.fetch_sub(1, Ordering::Relaxed);
        if self.is_waiting {
            self.threads.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        if self.state.swap(QUEUED, Ordering::AcqRel) == ABANDONED {
            let left = self.threads.abandoned.fetch_sub(1, Ordering::AcqRel) - 1;
            tracing::info!(left, "a plain body that was given up has returned, and its thread is free again");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_thread_is_abandoned_until_its_body_returns() {
        let threads = Arc::new(BodyThreads::default());
        let (open, gate) = mpsc::channel::<()>();
        let mut body = threads.run(|| true, move || gate.recv().is_err());
        body.begun().await;
        assert_eq!((threads.abandoned(), body.abandon(), body.abandon()), (0, Some(1), None));
        threads.are_worn_out(0).await;
        drop(open);
        assert_eq!(body.ended.await.unwrap(), Some(true));
        assert_eq!((threads.abandoned(), body.state.load(Ordering::Relaxed)), (0, QUEUED));
        let idle = threads.run(|| false, || panic!("it may not begin"));
        assert_eq!(idle.ended.await.unwrap(), None::<()>);
    }

    #[test]
    fn threads_are_scarce_where_bodies_wait_for_one() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let threads = Arc::new(BodyThreads::default());
        runtime.block_on(async {
            let (open, gate) = mpsc::channel::<()>();
            let mut first = threads.run(|| true, move || gate.recv().is_err());
            first.begun().await;
            assert!(!threads.are_scarce());
            let waiting: Vec<_> = (0..WAITING).map(|_| threads.run(|| true, || ())).collect();
            assert!(threads.are_scarce());
            assert_eq!(waiting[0].abandon(), None, "it has no thread");
            drop(open);
            for body in waiting {
                body.ended.await.unwrap();
            }
            assert!(!threads.are_scarce());
        });
    }
}
