//! Wrappers around components.

/// Implements component traits for a wrapper: each method calls the wrapper's `inner` through its `guard`.
macro_rules! wrap {
    (Component for $wrapper:ty) => {
        wrap! { @Component for $wrapper { fn purge() -> (); } }
    };
    (Broker for $wrapper:ty) => {
        wrap! { @Broker for $wrapper {
            fn push(messages: &[Message]) -> ();
            fn pop(pop: &Pop) -> Vec<InvocationId>;
            fn remove(queue: &QueueName, ids: &[InvocationId]) -> ();
            fn queue(queue: &QueueName, position_of: Option<InvocationId>) -> QueueState;
        } }
    };
    (parts of Orchestrator for $wrapper:ty) => {
        wrap! { @Lifecycle for $wrapper {
            fn register(registrations: &[Registration]) -> Vec<Registered>;
            fn claim(claim: &Claim) -> Vec<ClaimReply>;
            fn transition(transitions: &[Transition]) -> Vec<TransitionReply>;
            fn cancel(ids: &[InvocationId]) -> Vec<CancelReply>;
            fn records(ids: &[InvocationId]) -> Vec<Option<Tracked>>;
            fn inspect(ids: &[InvocationId]) -> Vec<Option<Inspection>>;
            fn find(find: &Find) -> Page<Tracked>;
            fn count() -> Counts;
        } }
        wrap! { @Waiting for $wrapper {
            fn block(block: &Block) -> Blocked;
            fn watch(ids: &[InvocationId]) -> BoxStream<'static, Completion>;
        } }
        wrap! { @Runners for $wrapper {
            fn heartbeat(heartbeat: &Heartbeat) -> HeartbeatReply;
            fn signals(runner: RunnerId) -> BoxStream<'static, Signal>;
            fn runners() -> Vec<RunnerInfo>;
            fn retire_expired(limit: usize) -> Vec<(RunnerId, Tracked)>;
            fn acquire_lease(service: &str, runner: RunnerId, length: Duration) -> bool;
        } }
        wrap! { @Outbox for $wrapper {
            fn subscribe(interests: &[OutboxInterest], length: Duration) -> ();
            fn take_outbox(take: &OutboxTake) -> Vec<OutboxEntry>;
        } }
        wrap! { @Retention for $wrapper {
            fn outlived(limit: usize, again_after: Duration) -> Vec<InvocationId>;
            fn forget(ids: &[InvocationId]) -> ();
        } }
    };
    (StateBackend for $wrapper:ty) => {
        wrap! { @StateBackend for $wrapper {
            fn put_invocations(records: &[Arc<InvocationRecord>]) -> ();
            fn invocations(ids: &[InvocationId]) -> Vec<Option<Arc<InvocationRecord>>>;
            fn put_outcomes(outcomes: &[OutcomeWrite]) -> ();
            fn outcome(id: InvocationId, epoch: u64) -> Option<Outcome>;
            fn list(listing: &Listing, after: Option<Cursor>, limit: usize) -> Page<InvocationId>;
            fn open_journal(opening: &JournalOpening) -> Journal;
            fn journal(id: InvocationId) -> Option<Journal>;
            fn append_journal(id: InvocationId, epoch: u64, entries: &[JournalEntry]) -> Vec<Appended>;
            fn put_workflow_data(workflow: InvocationId, key: &str, value: Payload) -> ();
            fn workflow_data(workflow: InvocationId, key: &str) -> Option<Payload>;
            fn forget(ids: &[InvocationId]) -> ();
        } }
    };
    (TriggerStore for $wrapper:ty) => {
        wrap! { @TriggerStore for $wrapper {
            fn update_definitions(updates: &[TriggerUpdate]) -> ();
            fn definitions() -> Vec<StoredTrigger>;
            fn append_events(events: &[NewEvent]) -> Vec<u64>;
            fn take_events(take: &EventsTake) -> Vec<Offered>;
            fn await_events(waits: &[EventWait]) -> Vec<Option<Event>>;
            fn take_ready(take: &ReadyTake) -> Vec<InvocationId>;
            fn put_occurrences(occurrences: &[Occurrence], lookups: &[Lookup], limit: usize) -> Vec<Vec<Occurrence>>;
            fn fire(firings: &[Firing]) -> Vec<bool>;
            fn runs(runs: &TriggerRuns, limit: usize) -> Vec<FiredRun>;
            fn delivered(delivered: &[Delivered]) -> ();
            fn watermarks(schedules: &[Box<str>]) -> Watermarks;
            fn notifications() -> BoxStream<'static, Notification>;
            fn expire(age: Duration, limit: usize) -> usize;
        } }
    };
    (ArgCache for $wrapper:ty) => {
        wrap! { @ArgCache for $wrapper {
            fn renew(digests: &[Digest], keep: Duration) -> Vec<bool>;
            fn put(digest: Digest, content: Bytes, keep: Duration) -> ();
            fn get(digest: Digest, keep: Duration) -> Option<Bytes>;
            fn remove(digest: Digest) -> ();
        } }
    };
    (@$component:ident for $wrapper:ty {
        $(fn $method:ident($($argument:ident: $type:ty),*) -> $reply:ty;)+
    }) => {
        #[pynenc_core::async_trait]
        impl $component for $wrapper {
            $(async fn $method(&self, $($argument: $type),*) -> Result<$reply> {
                self.guard(self.inner.$method($($argument),*)).await
            })+
        }
    };
}

pub(crate) use wrap;
