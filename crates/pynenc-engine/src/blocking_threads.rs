//! The threads on which plain (non-`async`) task functions run. A thread can't be stopped: a function that ignores a
//! timeout or a cancel keeps its thread, and the runtime has a limited number of threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// With this many task functions that have a thread or wait for one, the next may not get one at once. Tokio has 512
/// threads, unless the program configures another number.
const SCARCE_IN_USE: usize = 256;
/// With this many task functions that wait for a thread, no thread is free.
const SCARCE_WAITING: usize = 8;

/// Counts the plain task functions that have a thread or wait for one, and the abandoned threads.
#[derive(Debug, Default)]
pub(crate) struct BlockingThreads {
    busy: AtomicUsize,
    waiting: AtomicUsize,
    abandoned: AtomicUsize,
    changed: Notify,
}

const QUEUED: u8 = 0;
const RUNNING: u8 = 1;
const ABANDONED: u8 = 2;

/// A task function that waits for a thread or runs on one.
pub(crate) struct BlockingThread<T> {
    /// The function's result; `None` if it wasn't allowed to start.
    pub(crate) result: JoinHandle<Option<T>>,
    started: Option<oneshot::Receiver<()>>,
    state: Arc<AtomicU8>,
    threads: Arc<BlockingThreads>,
}

impl BlockingThreads {
    /// Runs a task function as soon as a thread is free, if `may_begin` then returns true.
    pub(crate) fn run<T: Send + 'static>(
        self: &Arc<Self>,
        may_begin: impl FnOnce() -> bool + Send + 'static,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> BlockingThread<T> {
        let (notify, started) = oneshot::channel();
        let state = Arc::new(AtomicU8::new(QUEUED));
        let counted = Place::new(self.clone(), state.clone());
        let result = tokio::task::spawn_blocking(move || {
            let mut counted = counted;
            counted.begin();
            // Ignored: the receiver is gone if the attempt was interrupted meanwhile.
            let _ = notify.send(());
            may_begin().then(function)
        });
        BlockingThread { result, started: Some(started), state, threads: self.clone() }
    }

    /// Returns whether the next task function may have to wait for a thread.
    pub(crate) fn are_scarce(&self) -> bool {
        self.busy.load(Ordering::Relaxed) >= SCARCE_IN_USE || self.waiting.load(Ordering::Relaxed) >= SCARCE_WAITING
    }

    /// The number of abandoned threads: their task functions go on after a timeout, a cancel or a lost claim.
    pub(crate) fn abandoned(&self) -> usize {
        self.abandoned.load(Ordering::Acquire)
    }

    /// Waits until more than `limit` threads are abandoned.
    pub(crate) async fn until_more_abandoned_than(&self, limit: usize) {
        loop {
            let changed = self.changed.notified();
            if self.abandoned() > limit {
                return;
            }
            changed.await;
        }
    }
}

impl<T> BlockingThread<T> {
    /// Waits until the task function has a thread.
    pub(crate) async fn started(&mut self) {
        if let Some(started) = &mut self.started {
            // Ignored: the sender is dropped only when the runtime shuts down.
            let _ = started.await;
            self.started = None;
        }
    }

    /// Counts the thread as abandoned, if the task function still occupies it. Returns the number of abandoned threads.
    pub(crate) fn abandon(&self) -> Option<usize> {
        let is_running = self.state.compare_exchange(RUNNING, ABANDONED, Ordering::AcqRel, Ordering::Acquire);
        is_running.ok()?;
        let count = self.threads.abandoned.fetch_add(1, Ordering::AcqRel) + 1;
        self.threads.changed.notify_waiters();
        Some(count)
    }
}

/// The share of one task function in the counters. It is dropped when the function has returned, or will never start.
struct Place {
    threads: Arc<BlockingThreads>,
    state: Arc<AtomicU8>,
    is_waiting: bool,
}

impl Place {
    fn new(threads: Arc<BlockingThreads>, state: Arc<AtomicU8>) -> Self {
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
            tracing::info!(left, "an abandoned task function has returned; its thread is free again");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_thread_is_abandoned_until_its_task_function_returns() {
        let threads = Arc::new(BlockingThreads::default());
        let (open, gate) = mpsc::channel::<()>();
        let mut thread = threads.run(|| true, move || gate.recv().is_err());
        thread.started().await;
        assert_eq!((threads.abandoned(), thread.abandon(), thread.abandon()), (0, Some(1), None));
        threads.until_more_abandoned_than(0).await;
        drop(open);
        assert_eq!(thread.result.await.unwrap(), Some(true));
        assert_eq!((threads.abandoned(), thread.state.load(Ordering::Relaxed)), (0, QUEUED));
        let idle = threads.run(|| false, || panic!("the function may not start"));
        assert_eq!(idle.result.await.unwrap(), None::<()>);
    }

    #[test]
    fn threads_are_scarce_while_task_functions_wait_for_one() {
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let threads = Arc::new(BlockingThreads::default());
        runtime.block_on(async {
            let (open, gate) = mpsc::channel::<()>();
            let mut first = threads.run(|| true, move || gate.recv().is_err());
            first.started().await;
            assert!(!threads.are_scarce());
            let waiting: Vec<_> = (0..SCARCE_WAITING).map(|_| threads.run(|| true, || ())).collect();
            assert!(threads.are_scarce());
            assert_eq!(waiting[0].abandon(), None, "a waiting function has no thread");
            drop(open);
            for thread in waiting {
                thread.result.await.unwrap();
            }
            assert!(!threads.are_scarce());
        });
    }
}
