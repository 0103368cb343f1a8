//! The context of a task function that runs, and the parameters that are injected from it.

use std::any::{Any, type_name};
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use pynenc_core::lane::Submission;
use pynenc_core::orchestrator::Registered;
use pynenc_core::record::{InvocationRecord, Outcome, TraceContext, WorkflowIdentity};
use pynenc_core::{InvocationId, StatusRecord, TaskId};

use crate::attempt::{Attempt, Halt};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::task::{Requirements, missing_state};
use crate::trace_propagation::SendSpan;

tokio::task_local! {
    static CURRENT: TaskContext;
}

/// The result of a call that a task function awaits.
pub(crate) enum AwaitedCall {
    /// The call is finished. The outcome is given if it is at hand.
    Finished {
        /// The call's final record.
        record: StatusRecord,
        /// The outcome of that record.
        outcome: Option<Outcome>,
    },
    /// The call wasn't waited for: another invocation may stand for it.
    Registered(Registered),
}

/// Submits the calls that a task function awaits. The worker that runs the function implements it.
pub(crate) trait CallHost: Send + Sync {
    /// Submits a call of the task function that `caller` runs and waits for its completion, with the caller's slot free
    /// meanwhile. `span` ends with the submit.
    fn call<'a>(
        self: Arc<Self>,
        engine: &'a Engine,
        caller: &'a Arc<Attempt>,
        submission: &'a Submission,
        span: SendSpan,
    ) -> BoxFuture<'a, Result<AwaitedCall>>;
}

/// The context of one run of a task function. Clones are cheap and mean the same run.
#[derive(Clone)]
pub struct TaskContext {
    engine: Engine,
    attempt: Arc<Attempt>,
    calls: Arc<dyn CallHost>,
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskContext")
            .field("task", self.task())
            .field("invocation", &self.invocation_id())
            .finish_non_exhaustive()
    }
}

impl TaskContext {
    pub(crate) fn new(engine: Engine, attempt: Arc<Attempt>, calls: Arc<dyn CallHost>) -> Self {
        Self { engine, attempt, calls }
    }

    /// The context of the task function that this code runs in.
    ///
    /// # Errors
    ///
    /// [`Error::NoContext`] outside a task, and in code that a task spawned without [`TaskContext::scope`].
    pub fn current() -> Result<Self> {
        Self::try_current().ok_or(Error::NoContext)
    }

    fn try_current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// The context of the task function that this code runs in, if `engine` runs it.
    pub(crate) fn current_of(engine: &Engine) -> Option<Self> {
        Self::try_current().filter(|context| context.engine.is_same(engine))
    }

    /// Runs a future in this context, such as one for `tokio::spawn`.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self.clone(), future)
    }

    pub(crate) fn sync_scope<R>(&self, function: impl FnOnce() -> R) -> R {
        CURRENT.sync_scope(self.clone(), function)
    }

    /// The engine that runs the task.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Waits by `until` for all of `on`, with the task's slot free meanwhile.
    pub(crate) async fn wait<R>(&self, on: &[InvocationId], until: impl Future<Output = Result<R>>) -> Result<R> {
        self.attempt.wait(&self.engine, on, until).await
    }

    /// Submits a call and waits for its completion, with the task's slot free meanwhile.
    pub(crate) async fn call(&self, submission: &Submission, span: SendSpan) -> Result<AwaitedCall> {
        self.calls.clone().call(&self.engine, &self.attempt, submission, span).await
    }

    /// The id of the invocation that runs.
    pub fn invocation_id(&self) -> InvocationId {
        self.record().id
    }

    /// The task that runs.
    pub fn task(&self) -> &TaskId {
        &self.record().task
    }

    /// The number of this attempt: 1 for the first, and one more for each retry. If the invocation runs again because
    /// its worker was lost or has shut down, the number stays the same.
    pub fn attempt_number(&self) -> u32 {
        self.attempt.number()
    }

    /// The epoch of the claim under which the task runs, which is a fencing token. It grows with each claim of the
    /// invocation. Send it with each write to another system, and let that system refuse a write whose epoch is lower
    /// than one that it has seen. A runner that has lost its claim then can't overwrite the work of its successor.
    pub fn epoch(&self) -> u64 {
        self.attempt.epoch()
    }

    /// The invocation that called this one, if a task did.
    pub fn parent(&self) -> Option<InvocationId> {
        self.record().parent
    }

    /// The workflow that the invocation belongs to: that of its caller, or the one that it started.
    pub fn workflow(&self) -> Option<WorkflowIdentity> {
        self.record().workflow.or_else(|| self.attempt.hooks.started_workflow())
    }

    /// The stored record of the call that runs.
    pub fn record(&self) -> &InvocationRecord {
        &self.attempt.record
    }

    /// The distributed trace that the attempt belongs to, for requests that the task makes: its own span if attempts have
    /// spans, otherwise the trace of its call.
    pub fn trace(&self) -> Option<&TraceContext> {
        self.attempt.trace.get().map(|trace| trace.context()).or(self.record().trace.as_ref())
    }

    /// Whether the task function should return: the invocation was cancelled, its time limit is over, its claim was lost, or
    /// its runner stops.
    pub fn is_cancelled(&self) -> bool {
        self.attempt.is_interrupted()
    }
}

/// For extensions that control how a task function runs.
impl TaskContext {
    /// Halts the task function, which isn't polled again. The first halt counts. A cancel, a time limit and a lost claim
    /// take precedence over a halt.
    pub fn halt(&self, halt: Halt) {
        self.attempt.halt(halt);
    }

    /// Calls `check` when the task function returns a value. A halt that it gives replaces the value.
    pub fn check_return(&self, check: impl Fn() -> Option<Halt> + Send + 'static) {
        self.attempt.hooks.check_return(Box::new(check));
    }

    /// The value of a type that is kept with this run. The first call makes it.
    pub fn share<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        self.attempt.hooks.share(make)
    }

    /// Makes this invocation part of a workflow, unless it belongs to one already.
    pub fn start_workflow(&self, workflow: WorkflowIdentity) {
        self.attempt.hooks.start_workflow(workflow);
    }

    /// How many waits for other invocations are open in the task function.
    pub fn open_waits(&self) -> usize {
        self.attempt.open_waits()
    }

    /// Sets whether the task function is idle: it only waits for things that come without it, such as a timer. Idle time
    /// doesn't count towards the time limit.
    pub fn set_idle(&self, is_idle: bool) {
        self.attempt.hooks.set_idle(is_idle);
    }

    /// Whether the task is a plain function, which can't be halted.
    pub fn is_blocking(&self) -> bool {
        self.attempt.is_blocking
    }
}

/// A type that a parameter marked `#[inject]` can have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be injected",
    note = "a parameter marked `#[inject]` is a `TaskContext`, a `State<T>`, or a type of yours that implements `FromContext`"
)]
pub trait FromContext: Sized {
    /// Adds what the app must have. A runner whose app lacks it doesn't start.
    fn requires(_requirements: &mut Requirements) {}

    /// Makes the value for one run of the task function.
    fn from_context(context: &TaskContext) -> Result<Self>;
}

impl FromContext for TaskContext {
    fn from_context(context: &TaskContext) -> Result<Self> {
        Ok(context.clone())
    }
}

/// A value that the app shares with its tasks: `.state(db)` in the builder, `#[inject] db: State<Db>` in the task.
pub struct State<T>(Arc<T>);

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Any + Send + Sync> FromContext for State<T> {
    fn requires(requirements: &mut Requirements) {
        requirements.state::<T>();
    }

    fn from_context(context: &TaskContext) -> Result<Self> {
        context.engine.states().find().map(Self).ok_or_else(|| missing_state(type_name::<T>(), context.task()))
    }
}
