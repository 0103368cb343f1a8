//! Components that fail at a chosen call, before or after its effect.
//!
//! A call that fails before its effect is one that never reached the store; one that fails after it is one whose
//! answer was lost. Who sequences several components has to be right in both cases.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use pynenc_core::broker::{Message, Pop, QueueLen};
use pynenc_core::orchestrator::{
    Block, Blocked, CancelReply, Claim, ClaimReply, Counts, Cursor, Ended, Find, Heartbeat, HeartbeatReply,
    HistoryEntry, Inspected, Introduction, OutboxEntry, OutboxInterest, Page, Registered, RunnerInfo, Signal, Tracked,
    Transition, TransitionReply,
};
use pynenc_core::record::{InvocationRecord, Outcome, Payload, Registration};
use pynenc_core::state_backend::{Appended, Journal, JournalEntry, JournalOpening, OutcomeWrite};
use pynenc_core::trigger_store::{
    Defined, Delivered, Event, EventListener, EventWait, FiredRun, Lookup, NewEvent, News, Occurrence, Offered, Slot,
    TriggerDefinition, TriggerId, TriggerRun, Watermarks,
};
use pynenc_core::{
    ArgCache, Broker, Digest, Error, InvocationId, Orchestrator, QueueName, Result, RunnerId, StateBackend,
    TriggerStore, async_trait,
};

/// On which side of its effect a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fails {
    /// The call has no effect.
    Before,
    /// The call takes effect, and its answer is lost.
    After,
}

/// Counts calls, and blows at one of them. Clones count together.
#[derive(Debug, Clone)]
pub struct Fuse {
    calls: Arc<AtomicU64>,
    at: u64,
    fails: Fails,
    is_fatal: bool,
}

impl Fuse {
    /// A fuse that blows at the call of this number, counted from one.
    pub fn new(at: u64, fails: Fails) -> Self {
        Self { calls: Arc::default(), at, fails, is_fatal: false }
    }

    /// With every later call failing too, before its effect: what a process that has died asks for.
    #[must_use]
    pub fn fatal(self) -> Self {
        Self { is_fatal: true, ..self }
    }

    /// Whether the call that it blows at was made.
    pub fn is_blown(&self) -> bool {
        self.calls.load(Ordering::SeqCst) >= self.at
    }

    async fn guard<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let blown = || Error::unavailable("the call was made to fail").with("call", number);
        match self.fails {
            Fails::Before if number == self.at => Err(blown()),
            Fails::After if number == self.at => call.await.and_then(|_| Err(blown())),
            Fails::Before | Fails::After if self.is_fatal && number > self.at => Err(blown()),
            Fails::Before | Fails::After => call.await,
        }
    }
}

macro_rules! failing {
    ($(#[$doc:meta])* $name:ident: $component:ident {
        $(fn $method:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+
    }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            inner: Arc<dyn $component>,
            fuse: Fuse,
        }

        impl $name {
            /// The component, with a fuse in every call.
            pub fn new(inner: Arc<dyn $component>, fuse: Fuse) -> Self {
                Self { inner, fuse }
            }
        }

        #[async_trait]
        impl $component for $name {
            $(async fn $method(&self, $($argument: $type),*) -> Result<$answer> {
                self.fuse.guard(self.inner.$method($($argument),*)).await
            })+
        }
    };
}

failing! {
    /// A broker that fails once.
    FailingBroker: Broker {
        fn push(messages: &[Message]) -> ();
        fn pop(pop: &Pop) -> Vec<InvocationId>;
        fn remove(queue: &QueueName, ids: &[InvocationId]) -> ();
        fn len(queue: &QueueName) -> QueueLen;
        fn place(queue: &QueueName, id: InvocationId) -> Option<u64>;
        fn purge() -> ();
    }
}

failing! {
    /// An orchestrator that fails once.
    FailingOrchestrator: Orchestrator {
        fn register(registrations: &[Registration]) -> Vec<Registered>;
        fn claim(claim: &Claim) -> Vec<ClaimReply>;
        fn transition(transitions: &[Transition]) -> Vec<TransitionReply>;
        fn cancel(ids: &[InvocationId]) -> Vec<CancelReply>;
        fn records(ids: &[InvocationId]) -> Vec<Option<Tracked>>;
        fn inspect(ids: &[InvocationId]) -> Vec<Option<Inspected>>;
        fn find(find: &Find) -> Page<Tracked>;
        fn queued(after: Option<Cursor>, unchanged_for: Duration, limit: usize) -> Page<Tracked>;
        fn count() -> Counts;
        fn history(id: InvocationId) -> Vec<HistoryEntry>;
        fn owned(runner: RunnerId) -> Vec<Tracked>;
        fn block(block: &Block) -> Blocked;
        fn watch(ids: &[InvocationId]) -> BoxStream<'static, Ended>;
        fn signals(runner: RunnerId) -> BoxStream<'static, Signal>;
        fn heartbeat(heartbeat: &Heartbeat) -> HeartbeatReply;
        fn introduce(runner: RunnerId, introduction: &Introduction) -> ();
        fn runners() -> Vec<RunnerInfo>;
        fn leave(runner: RunnerId) -> ();
        fn expired(limit: usize) -> Vec<(RunnerId, Tracked)>;
        fn lease(service: &str, runner: RunnerId, length: Duration) -> bool;
        fn want(interests: &[OutboxInterest], length: Duration) -> ();
        fn outbox(listeners: &[Box<str>], limit: usize, again_after: Duration) -> Vec<OutboxEntry>;
        fn outbox_done(sequences: &[u64]) -> ();
        fn outlived(limit: usize) -> Vec<InvocationId>;
        fn keep(ids: &[InvocationId], length: Duration) -> ();
        fn forget(ids: &[InvocationId]) -> ();
        fn purge() -> ();
    }
}

failing! {
    /// A state backend that fails once.
    FailingStateBackend: StateBackend {
        fn put_invocations(records: &[Arc<InvocationRecord>]) -> ();
        fn invocations(ids: &[InvocationId]) -> Vec<Option<Arc<InvocationRecord>>>;
        fn children(parent: InvocationId) -> Vec<InvocationId>;
        fn put_outcomes(outcomes: &[OutcomeWrite]) -> ();
        fn outcome(id: InvocationId, epoch: u64) -> Option<Outcome>;
        fn open_journal(opening: &JournalOpening) -> Journal;
        fn journal(id: InvocationId) -> Option<Journal>;
        fn append_journal(id: InvocationId, epoch: u64, entries: &[JournalEntry]) -> Vec<Appended>;
        fn workflow_runs(after: Option<Cursor>, limit: usize) -> Page<InvocationId>;
        fn put_workflow_data(workflow: InvocationId, key: &str, value: Payload) -> ();
        fn workflow_data(workflow: InvocationId, key: &str) -> Option<Payload>;
        fn aged(age: Duration, after: Option<Cursor>, limit: usize) -> Page<InvocationId>;
        fn forget(ids: &[InvocationId]) -> ();
        fn purge() -> ();
    }
}

failing! {
    /// A trigger store that fails once.
    FailingTriggerStore: TriggerStore {
        fn define(definitions: &[TriggerDefinition], length: Option<Duration>) -> ();
        fn undefine(ids: &[TriggerId]) -> ();
        fn definitions() -> Vec<Defined>;
        fn pause(trigger: &str, paused: bool) -> ();
        fn append_events(events: &[NewEvent]) -> Vec<u64>;
        fn events(name: &str, after: u64, limit: usize) -> Vec<Event>;
        fn take_events(listeners: &[EventListener], limit: usize, again_after: Duration) -> Vec<Offered>;
        fn await_events(waits: &[EventWait]) -> Vec<Option<Event>>;
        fn awoken(limit: usize, again_after: Duration) -> Vec<InvocationId>;
        fn end_waits(waiters: &[InvocationId]) -> ();
        fn events_done(listener: &str, sequences: &[u64]) -> ();
        fn put_occurrences(occurrences: &[Occurrence]) -> ();
        fn occurrences(lookups: &[Lookup], limit: usize) -> Vec<Vec<Occurrence>>;
        fn fire(runs: &[TriggerRun]) -> Vec<bool>;
        fn undelivered(age: Duration, limit: usize) -> Vec<TriggerRun>;
        fn delivered(delivered: &[Delivered]) -> ();
        fn runs(trigger: &str, limit: usize) -> Vec<FiredRun>;
        fn watermarks(schedules: &[Box<str>]) -> Watermarks;
        fn move_watermark(slot: &Slot) -> bool;
        fn news() -> BoxStream<'static, News>;
        fn expire(age: Duration, limit: usize) -> usize;
        fn purge() -> ();
    }
}

failing! {
    /// An argument cache that fails once.
    FailingArgCache: ArgCache {
        fn renew(digests: &[Digest], keep: Duration) -> Vec<bool>;
        fn put(digest: Digest, content: Bytes, keep: Duration) -> ();
        fn get(digest: Digest, keep: Duration) -> Option<Bytes>;
        fn remove(digest: Digest) -> ();
        fn purge() -> ();
    }
}
