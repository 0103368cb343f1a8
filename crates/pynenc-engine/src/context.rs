//! What a body knows of its own run.

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;

use pynenc_core::record::{InvocationRecord, TraceContext, WorkflowIdentity};
use pynenc_core::{InvocationId, TaskId};
use rustc_hash::FxHashMap;

use crate::call::Call;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::invocation::{Invocation, InvocationGroup};
use crate::task::Task;
use crate::worker::{Attempt, Halt};

tokio::task_local! {
    static CURRENT: TaskContext;
}

/// The run that a body belongs to. Clones are cheap and mean the same run.
#[derive(Clone)]
pub struct TaskContext {
    engine: Engine,
    attempt: Arc<Attempt>,
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
    pub(crate) fn new(engine: Engine, attempt: Arc<Attempt>) -> Self {
        Self { engine, attempt }
    }

    /// The context of the body that this code runs in.
    ///
    /// # Errors
    ///
    /// [`Error::NoContext`] outside a task, and in code that a task spawned without [`TaskContext::scope`].
    pub fn current() -> Result<Self> {
        Self::try_current().ok_or(Error::NoContext)
    }

    pub(crate) fn try_current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Carries the context into a future, such as one for `tokio::spawn`.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(self.clone(), future)
    }

    pub(crate) fn sync_scope<R>(&self, body: impl FnOnce() -> R) -> R {
        CURRENT.sync_scope(self.clone(), body)
    }

    /// The engine that runs the task.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn attempt(&self) -> &Arc<Attempt> {
        &self.attempt
    }

    /// The invocation that runs.
    pub fn invocation_id(&self) -> InvocationId {
        self.record().id
    }

    /// The task that runs.
    pub fn task(&self) -> &TaskId {
        &self.record().task
    }

    /// The number of this attempt: 1, and one more for each retry.
    pub fn attempt_number(&self) -> u32 {
        self.attempt.number()
    }

    /// The epoch of the claim this body runs under: it fences what the body writes elsewhere.
    pub fn epoch(&self) -> u64 {
        self.attempt.epoch()
    }

    /// The invocation whose body called this one.
    pub fn parent(&self) -> Option<InvocationId> {
        self.record().parent
    }

    /// The workflow that the invocation takes part in: the one that it was called in, or that it has founded.
    pub fn workflow(&self) -> Option<WorkflowIdentity> {
        self.record().workflow.or_else(|| self.attempt.guided.founded())
    }

    /// What is stored of the call that runs.
    pub fn record(&self) -> &InvocationRecord {
        &self.attempt.record
    }

    /// The distributed trace that the invocation belongs to, for requests that the body makes.
    pub fn trace(&self) -> Option<&TraceContext> {
        self.record().trace.as_ref()
    }

    /// Whether the body should end: its end was asked for, its time is over, its claim is lost, or its runner stops.
    pub fn is_cancelled(&self) -> bool {
        self.attempt.is_interrupted()
    }

    /// Submits a call as a child of this invocation, without waiting for its value.
    ///
    /// # Cancel safety
    ///
    /// A dropped submit may or may not have taken effect.
    pub async fn submit<T: Task>(&self, call: Call<T>) -> Result<Invocation<T>> {
        self.scope(self.engine.submit(call)).await
    }

    /// Submits calls as children of this invocation in one batch.
    pub async fn submit_all<T: Task>(&self, calls: impl IntoIterator<Item = Call<T>>) -> Result<InvocationGroup<T>> {
        self.scope(self.engine.submit_all(calls)).await
    }

    /// Submits a call from a task that is a plain function.
    ///
    /// # Errors
    ///
    /// As [`TaskContext::submit`]; and [`Error::Invalid`] inside an `async` task, whose thread must not be blocked.
    pub fn submit_blocking<T: Task>(&self, call: Call<T>) -> Result<Invocation<T>> {
        if !self.attempt.is_blocking() {
            let error = pynenc_core::Error::invalid("submit_blocking is for plain functions; use submit(..).await");
            return Err(Error::Invalid(error));
        }
        tokio::runtime::Handle::current().block_on(self.submit(call))
    }
}

/// For extensions that run bodies by rules of their own.
impl TaskContext {
    /// Ends the body, which isn't polled any more. The first halt counts; a cancel, a time limit and a lost claim count more.
    pub fn halt(&self, halt: Halt) {
        self.attempt.halt(halt);
    }

    /// Has the return of a value judged: a halt that `judge` gives takes its place.
    pub fn judge_return(&self, judge: impl Fn() -> Option<Halt> + Send + 'static) {
        self.attempt.guided.judge_return(Box::new(judge));
    }

    /// A value of a type that is kept with this run, made when it is asked for first.
    pub fn share<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        self.attempt.guided.share(make)
    }

    /// Says that this invocation takes part in a workflow from now on, if it takes part in none yet.
    pub fn found_workflow(&self, workflow: WorkflowIdentity) {
        self.attempt.guided.found(workflow);
    }

    /// How many waits for other invocations are open in the body.
    pub fn open_waits(&self) -> usize {
        self.attempt.open_waits()
    }

    /// Says whether the body only waits for what needs no body in memory: that time doesn't count for its time limit.
    pub fn rest(&self, rests: bool) {
        self.attempt.guided.rest(rests);
    }

    /// Whether the body is a plain function, which can't be halted.
    pub fn is_blocking(&self) -> bool {
        self.attempt.is_blocking()
    }
}

/// What the parameters of tasks need of their app.
#[derive(Debug, Default)]
pub struct Requirements {
    states: Vec<(TypeId, &'static str)>,
    parts: Vec<TypeId>,
}

impl Requirements {
    /// Asks for a state of type `T`.
    pub fn state<T: Any>(&mut self) {
        self.states.push((TypeId::of::<T>(), type_name::<T>()));
    }

    /// Says that the task is given a `T`, so that an extension finds the tasks that it concerns.
    pub fn part<T: Any>(&mut self) {
        self.parts.push(TypeId::of::<T>());
    }

    /// Whether the task is given a `T`.
    pub fn has_part<T: Any>(&self) -> bool {
        self.parts.contains(&TypeId::of::<T>())
    }

    /// The first one that `states` doesn't hold.
    pub(crate) fn missing(&self, states: &States) -> Option<&'static str> {
        self.states.iter().find(|(id, _)| !states.0.contains_key(id)).map(|(_, name)| *name)
    }
}

/// What a parameter marked `#[inject]` is made from.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be injected",
    note = "a parameter marked `#[inject]` is a `TaskContext`, a `State<T>`, or a type of yours that implements `FromContext`"
)]
pub trait FromContext: Sized {
    /// Says what the app must have, so that a runner that lacks it doesn't start.
    fn requires(_requirements: &mut Requirements) {}

    /// Makes the value for one run.
    fn from_context(context: &TaskContext) -> Result<Self>;
}

impl FromContext for TaskContext {
    fn from_context(context: &TaskContext) -> Result<Self> {
        Ok(context.clone())
    }
}

/// The values that an app shares with its tasks, one of each type.
#[derive(Default, Clone)]
pub struct States(FxHashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl States {
    /// Adds a value; a second one of its type replaces it.
    pub fn insert<T: Any + Send + Sync>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Arc::new(value));
    }

    fn find<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.0.get(&TypeId::of::<T>())?.clone().downcast().ok()
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "States({})", self.0.len())
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

pub(crate) fn missing_state(type_name: &'static str, task: &TaskId) -> Error {
    Error::Injection { type_name, advice: format!("task `{task}` needs it; give it to the app with `.state(value)`") }
}
