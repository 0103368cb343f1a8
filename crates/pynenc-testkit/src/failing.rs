//! Components that fail at a chosen call, before or after its effect.
//!
//! A call that fails before its effect never reached the store. A call that fails after its effect has lost its reply. The
//! engine has to handle both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use pynenc_core::broker::{Message, Pop, QueueState};
use pynenc_core::orchestrator::{
    Block, Blocked, CancelReply, Claim, ClaimReply, Completion, Counts, Find, Heartbeat, HeartbeatReply, Inspection,
    Lifecycle, Outbox, OutboxEntry, OutboxInterest, OutboxTake, Registered, Retention, RunnerInfo, Runners, Signal,
    Tracked, Transition, TransitionReply, Waiting,
};
use pynenc_core::page::{Cursor, Page};
use pynenc_core::record::{InvocationRecord, Outcome, Payload, Registration};
use pynenc_core::state_backend::{Appended, Journal, JournalEntry, JournalOpening, Listing, OutcomeWrite};
use pynenc_core::trigger_store::{
    Delivered, Event, EventWait, EventsTake, FiredRun, Firing, Lookup, NewEvent, Notification, Occurrence, Offered,
    ReadyTake, StoredTrigger, TriggerRuns, TriggerUpdate, Watermarks,
};
use pynenc_core::{
    ArgCache, Broker, Component, Digest, Error, InvocationId, Orchestrator, QueueName, Result, RunnerId, StateBackend,
    TriggerStore,
};

use crate::wrap::wrap;

/// When a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fails {
    /// The call has no effect.
    Before,
    /// The call takes effect, and its reply is lost.
    After,
}

/// Counts calls, and makes one of them fail. Clones share the count.
#[derive(Debug, Clone)]
pub struct Fuse {
    calls: Arc<AtomicU64>,
    at: u64,
    fails: Fails,
    is_fatal: bool,
}

impl Fuse {
    /// A fuse for the call of this number, counted from one.
    pub fn new(at: u64, fails: Fails) -> Self {
        Self { calls: Arc::default(), at, fails, is_fatal: false }
    }

    /// Makes every later call fail too, before its effect: as if the process had died.
    #[must_use]
    pub fn fatal(self) -> Self {
        Self { is_fatal: true, ..self }
    }

    /// Whether the failing call was made.
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
    ($(#[$doc:meta])* $name:ident: $component:ident) => {
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

            async fn guard<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
                self.fuse.guard(call).await
            }
        }

        wrap! { Component for $name }
    };
}

failing! {
    /// A broker that fails once.
    FailingBroker: Broker
}
wrap! { Broker for FailingBroker }

failing! {
    /// An orchestrator that fails once.
    FailingOrchestrator: Orchestrator
}
wrap! { parts of Orchestrator for FailingOrchestrator }
impl Orchestrator for FailingOrchestrator {}

failing! {
    /// A state backend that fails once.
    FailingStateBackend: StateBackend
}
wrap! { StateBackend for FailingStateBackend }

failing! {
    /// A trigger store that fails once.
    FailingTriggerStore: TriggerStore
}
wrap! { TriggerStore for FailingTriggerStore }

failing! {
    /// An argument cache that fails once.
    FailingArgCache: ArgCache
}
wrap! { ArgCache for FailingArgCache }
