//! The engine of an app: its components, settings, tasks and extensions.
//!
//! This file holds the parts and gives access to them. Calls are in `client`, running them is in `worker`, and `setup`
//! builds an engine.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use pynenc_core::broker::Message;
use pynenc_core::clock::LeapingClock;
use pynenc_core::config::{ArgCacheConfig, LoggingConfig, RetentionConfig, RunnerConfig};
use pynenc_core::orchestrator::{HistoryEntry, Signal, Tracked, Transition, TransitionReply};
use pynenc_core::reads;
use pynenc_core::record::{Argument, InvocationRecord, Payload, Retention};
use pynenc_core::status::Change;
use pynenc_core::{
    ArgCache, Broker, Clock, InvocationId, Lane, Orchestrator, QueueName, RunnerId, Serializer, StateBackend, Status,
    StatusRecord, TaskId, TriggerStore,
};
use rustc_hash::FxHashMap;
use serde::de::DeserializeOwned;

use crate::argument_cache::LargeValues;
use crate::backoff::store_backoff;
use crate::blocking_threads::BlockingThreads;
use crate::error::{Error, Result};
use crate::group_commit::{GroupCommit, Settles, Submits};
use crate::local_runners::{LocalRunners, ReportState, RunnerState};
use crate::metrics::{Metrics, MetricsRecorder};
use crate::stop::Stop;
use crate::task::{ArgumentSource, NamedValue, Requirements, States, TaskRegistry, missing_state};
use crate::trace_propagation::TracePropagation;

/// The components of an app.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Carries hints to runners.
    pub broker: Arc<dyn Broker>,
    /// Owns every invocation's status.
    pub orchestrator: Arc<dyn Orchestrator>,
    /// Stores records, outcomes and journals.
    pub state: Arc<dyn StateBackend>,
    /// Stores events and the state of triggers.
    pub triggers: Arc<dyn TriggerStore>,
    /// Stores large arguments and results. Without one, every value stays in its call.
    pub arg_cache: Option<Arc<dyn ArgCache>>,
    /// Encodes new calls.
    pub serializer: Arc<dyn Serializer>,
    /// The clock of this process. Stores have their own.
    pub clock: Arc<dyn Clock>,
}

/// The settings of an engine.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The app's name.
    pub app_id: Arc<str>,
    /// The settings of runners.
    pub runner: RunnerConfig,
    /// How long finished invocations are kept.
    pub retention: RetentionConfig,
    /// Which arguments are moved into the argument cache.
    pub arg_cache: ArgCacheConfig,
    /// How arguments are logged.
    pub logging: LoggingConfig,
    /// Connects the app to the program's distributed tracing.
    pub propagation: Option<Arc<dyn TracePropagation>>,
    /// Records the app's metrics, beside the recorders of extensions. Without any, nothing is measured.
    pub metrics: Option<MetricsRecorder>,
    /// The clock of synchronous mode. In this mode a submit runs the task before it returns, and the clock leaps over delays.
    pub synchronous: Option<LeapingClock>,
    /// Whether each argument is decoded again before its call is submitted, to find values that can't be read back.
    pub reads_back_arguments: bool,
}

/// A transition that this process has made.
#[derive(Debug, Clone)]
pub struct StatusChange<'a> {
    /// The invocation.
    pub id: InvocationId,
    /// The invocation's task.
    pub task: &'a TaskId,
    /// The invocation's queue.
    pub queue: &'a QueueName,
    /// The record after the transition.
    pub record: &'a StatusRecord,
    /// The kind of the error that led to the transition, if the task function failed.
    pub error_kind: Option<&'a str>,
}

impl<'a> StatusChange<'a> {
    /// The change that led to the present record of an invocation.
    pub fn of(tracked: &'a Tracked) -> Self {
        let Tracked { id, task, queue, record, .. } = tracked;
        Self { id: *id, task, queue, record, error_kind: None }
    }
}

/// A part of an app that plugs into the engine, such as triggers and workflows. The engine calls it and knows no more of it.
#[async_trait]
pub trait Extension: Any + fmt::Debug + Send + Sync {
    /// The name in logs.
    fn name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }

    /// Prepares the extension, before a runner of this process claims anything. A retryable error is retried; any other
    /// error keeps the runner from starting.
    async fn prepare(&self, _engine: &Engine) -> Result<()> {
        Ok(())
    }

    /// Called after each transition that this process makes. It must not block.
    fn on_change(&self, _change: &StatusChange<'_>) {}

    /// Returns those of the finished invocations, whose retention is over, that are still needed. The engine offers them
    /// again later and forgets the others.
    async fn still_needed(&self, _engine: &Engine, _outlived: &[InvocationId]) -> Result<Vec<InvocationId>> {
        Ok(Vec::new())
    }

    /// The recorder of the app's metrics that the extension brings. It gets all metrics, beside other recorders.
    fn recorder(&self) -> Option<MetricsRecorder> {
        None
    }

    /// Called for each signal of the store to a runner of this process. It must not block.
    fn on_signal(&self, _signal: &Signal) {}

    /// Runs a service beside each runner's work, until `stop` says so. If it ends early, the runner goes on; an error is
    /// logged.
    async fn serve(&self, _engine: Engine, _runner: RunnerId, _stop: Stop) -> Result<()> {
        Ok(())
    }

    /// Sends what the extension holds back, such as spans. Called when a runner of this process has stopped, so it must
    /// return within a few seconds.
    async fn flush(&self) {}
}

/// Runs invocations in synchronous mode. The worker implements it.
pub(crate) trait RunInline: Send + Sync {
    /// Runs an invocation until it is finished, and whatever its completion let run.
    fn run_inline(self: Arc<Self>, engine: &Engine, id: InvocationId) -> BoxFuture<'_, Result<()>>;
}

/// An app's engine. Clones are cheap and mean the same one.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

/// The parts of an engine. [`EngineSetup`](crate::EngineSetup) puts them together.
pub(crate) struct Inner {
    pub(crate) parts: Parts,
    pub(crate) settings: Settings,
    pub(crate) tasks: TaskRegistry,
    pub(crate) states: States,
    pub(crate) extensions: Vec<Arc<dyn Extension>>,
    pub(crate) readers: FxHashMap<&'static str, Arc<dyn Serializer>>,
    pub(crate) lane: Arc<dyn Lane>,
    pub(crate) submits: GroupCommit<Submits>,
    pub(crate) settles: GroupCommit<Settles>,
    pub(crate) inline: Option<Arc<dyn RunInline>>,
    pub(crate) large_values: LargeValues,
    pub(crate) blocking_threads: Arc<BlockingThreads>,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) local_runners: LocalRunners,
}

/// A reference to an engine that doesn't keep it alive, for threads that an extension starts.
#[derive(Clone)]
pub struct WeakEngine(Weak<Inner>);

impl fmt::Debug for WeakEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakEngine").finish_non_exhaustive()
    }
}

impl WeakEngine {
    /// The engine, unless it was dropped.
    pub fn upgrade(&self) -> Option<Engine> {
        self.0.upgrade().map(Engine)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("app_id", &self.0.settings.app_id).finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) fn from_inner(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// A reference that doesn't keep the engine alive.
    pub fn downgrade(&self) -> WeakEngine {
        WeakEngine(Arc::downgrade(&self.0))
    }

    /// The components.
    pub fn parts(&self) -> &Parts {
        &self.0.parts
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The tasks.
    pub fn tasks(&self) -> &TaskRegistry {
        &self.0.tasks
    }

    pub(crate) fn states(&self) -> &States {
        &self.0.states
    }

    pub(crate) fn lane(&self) -> &Arc<dyn Lane> {
        &self.0.lane
    }

    pub(crate) fn settles(&self) -> &GroupCommit<Settles> {
        &self.0.settles
    }

    pub(crate) fn submits(&self) -> &GroupCommit<Submits> {
        &self.0.submits
    }

    /// Whether the app is in synchronous mode.
    pub(crate) fn is_synchronous(&self) -> bool {
        self.0.inline.is_some()
    }

    /// Runs an invocation until it is finished, if the app is in synchronous mode.
    pub(crate) async fn run_inline(&self, id: InvocationId) -> Result<()> {
        match &self.0.inline {
            Some(worker) => worker.clone().run_inline(self, id).await,
            None => Ok(()),
        }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The extensions.
    pub fn extensions(&self) -> &[Arc<dyn Extension>] {
        &self.0.extensions
    }

    /// The extension of a type, if the app has it.
    pub fn extension<E: Extension>(&self) -> Option<&E> {
        self.0.extensions.iter().find_map(|extension| (&**extension as &dyn Any).downcast_ref())
    }

    /// The app's metrics, if they are recorded.
    pub fn metrics(&self) -> Option<&Metrics> {
        self.0.metrics.as_ref()
    }

    /// The states of the runners of this process, for health probes. A supervisor of worker processes has none.
    pub fn local_runners(&self) -> Vec<RunnerState> {
        self.0.local_runners.states()
    }

    pub(crate) fn add_local_runner(&self, runner: &Arc<impl ReportState + 'static>) {
        self.0.local_runners.add(runner);
    }

    /// Counts a transition, and notifies the extensions of it.
    pub(crate) fn changed(&self, change: &StatusChange<'_>) {
        if let Some(metrics) = self.metrics() {
            metrics.changed(change.task, change.queue, change.record, change.error_kind);
        }
        self.0.extensions.iter().for_each(|extension| extension.on_change(change));
    }

    /// Prepares every extension for a runner of this process. Waits for stores that are unavailable.
    ///
    /// # Errors
    ///
    /// The first error that isn't retryable.
    pub async fn prepare(&self) -> Result<()> {
        for extension in self.extensions() {
            let mut failures = 0;
            while let Err(error) = extension.prepare(self).await {
                if !error.is_retryable() {
                    return Err(error);
                }
                tracing::warn!(%error, extension = extension.name(), "an extension can't be prepared yet; the runner waits");
                self.parts().clock.sleep(store_backoff(failures)).await;
                failures += 1;
            }
        }
        Ok(())
    }

    /// Lets the extensions send what they hold back, such as spans for OpenTelemetry. A runner does this when it has
    /// stopped. In a program without a runner, call it before the program exits.
    pub async fn flush(&self) {
        for extension in self.extensions() {
            extension.flush().await;
        }
    }

    /// Checks that the app has the states that its tasks require.
    ///
    /// # Errors
    ///
    /// [`Error::Injection`] for the first task with a missing state.
    pub fn check_requirements(&self) -> Result<()> {
        check_requirements(&self.0.tasks, &self.0.states)
    }

    /// The serializer with this name, to decode what it encoded.
    ///
    /// # Errors
    ///
    /// The app doesn't have the serializer.
    pub fn reader(&self, name: &str) -> Result<Arc<dyn Serializer>, pynenc_core::Error> {
        self.0.readers.get(name).cloned().ok_or_else(|| {
            let mut known: Vec<_> = self.0.readers.keys().copied().collect();
            known.sort_unstable();
            pynenc_core::Error::corrupt("the value was written by a serializer that this app doesn't have")
                .with("serializer", name)
                .with("known", known.join(", "))
        })
    }

    pub(crate) fn retention(&self) -> Retention {
        let RetentionConfig { results, failures, .. } = self.0.settings.retention;
        Retention { results, failures }
    }

    /// The status of an invocation.
    ///
    /// # Errors
    ///
    /// [`Error::InvocationNotFound`]; unknown is never reported as waiting.
    pub async fn status(&self, id: InvocationId) -> Result<StatusRecord> {
        let tracked = self.parts().orchestrator.records(&[id]).await?.pop().flatten();
        tracked.map(|tracked| tracked.record).ok_or(Error::InvocationNotFound(id))
    }

    /// The history of an invocation, oldest entry first.
    ///
    /// # Errors
    ///
    /// [`Error::InvocationNotFound`].
    pub async fn history(&self, id: InvocationId) -> Result<Vec<HistoryEntry>> {
        let history = reads::history(&*self.parts().orchestrator, id).await?;
        if history.is_empty() { Err(Error::InvocationNotFound(id)) } else { Ok(history) }
    }

    /// Measures the arguments of a new invocation.
    pub(crate) fn measure_submitted(&self, record: &InvocationRecord) {
        if let Some(metrics) = self.metrics() {
            let size = record.arguments.iter().map(|argument| argument.value.size()).sum();
            metrics.submitted(&record.task, &record.queue, size);
        }
    }

    pub(crate) fn blocking_threads(&self) -> &Arc<BlockingThreads> {
        &self.0.blocking_threads
    }

    /// How many threads are occupied by plain task functions that the runner has abandoned: they still run after a time
    /// limit, a cancel or the end of their runner. A runtime that is dropped waits for them.
    pub fn abandoned_threads(&self) -> usize {
        self.blocking_threads().abandoned()
    }

    /// Pushes hints. A lost hint is no error: the sweep pushes it again.
    pub(crate) async fn hint(&self, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        if let Err(error) = self.parts().broker.push(messages).await {
            tracing::debug!(%error, count = messages.len(), "hints were lost; the sweep will push them again");
        }
    }

    /// Makes transitions of invocations that no worker runs, and pushes the hints that follow from them. An invocation whose
    /// record has changed since stays as it is.
    pub(crate) async fn transition_all(&self, changes: Vec<(Tracked, Change)>) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let transition = |(item, change): &(Tracked, Change)| Transition {
            id: item.id,
            seen: item.record.clone(),
            change: change.clone(),
        };
        let transitions: Vec<_> = changes.iter().map(transition).collect();
        let replies = self.parts().orchestrator.transition(&transitions).await?;
        let mut hints = Vec::new();
        for ((item, _), reply) in changes.into_iter().zip(replies) {
            if let TransitionReply::Done { record, handed } = reply {
                hints.extend(handed);
                let moved = Tracked { record, ..item };
                hints.extend(moved.record.is_queued().then(|| moved.message()));
                self.changed(&StatusChange::of(&moved));
            }
        }
        self.hint(&hints).await;
        Ok(())
    }

    /// Forgets every invocation, hint, trigger run and cached argument of the app.
    pub async fn purge(&self) -> Result<()> {
        let Parts { broker, orchestrator, state, triggers, .. } = self.parts();
        broker.purge().await?;
        orchestrator.purge().await?;
        state.purge().await?;
        triggers.purge().await?;
        self.large_values().purge().await?;
        Ok(())
    }

    /// Access to large values.
    pub(crate) fn large_values(&self) -> &LargeValues {
        &self.0.large_values
    }

    /// Reads all arguments, from the call or from the argument cache.
    pub(crate) async fn fetch_all(&self, arguments: &[Argument]) -> Result<Vec<NamedValue>, pynenc_core::Error> {
        let mut fetched = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let value = self.large_values().fetch(&argument.value).await;
            fetched.push((argument.name.clone(), value.map_err(|error| error.with("argument", &argument.name))?));
        }
        Ok(fetched)
    }

    /// Reads the arguments of a call, to decode them.
    ///
    /// # Errors
    ///
    /// An argument is gone from the argument cache, or the app lacks the serializer that encoded it.
    pub async fn arguments(&self, record: &InvocationRecord) -> Result<ArgumentSource, pynenc_core::Error> {
        let serializer = self.reader(&record.serializer)?;
        Ok(ArgumentSource::of_fetched(serializer, self.fetch_all(&record.arguments).await?))
    }

    /// Does the same as [`Engine::arguments`], without a copy of arguments that are in the record itself.
    pub(crate) async fn shared_arguments(
        &self,
        record: &Arc<InvocationRecord>,
    ) -> Result<ArgumentSource, pynenc_core::Error> {
        match ArgumentSource::of_inline(&self.reader(&record.serializer)?, record) {
            Some(source) => Ok(source),
            None => Box::pin(self.arguments(record)).await,
        }
    }

    /// Reads and decodes a value that is stored with an invocation, such as its result.
    ///
    /// # Errors
    ///
    /// The value is gone from the argument cache, or it isn't a `T`.
    pub async fn value<T: DeserializeOwned>(&self, value: &Payload, serializer: &str) -> Result<T, pynenc_core::Error> {
        let reader = self.reader(serializer)?;
        self.large_values().fetch(value).await?.decode(&*reader)
    }

    /// Reads the bytes of a value.
    ///
    /// # Errors
    ///
    /// The value is gone from the argument cache.
    pub async fn bytes(&self, value: &Payload) -> Result<Bytes, pynenc_core::Error> {
        Ok(self.large_values().fetch(value).await?.into_bytes())
    }

    /// Waits until the invocation is finished. It isn't a task's wait: no slot is freed, and no deadlock is looked for.
    pub(crate) fn completion(&self, id: InvocationId) -> BoxFuture<'_, Result<StatusRecord>> {
        async move {
            loop {
                let mut completions = self.parts().orchestrator.watch(&[id]).await?;
                match completions.next().await {
                    Some((_, Some(record))) => return Ok(record),
                    Some((_, None)) => return Err(Error::InvocationNotFound(id)),
                    // A watch that closes early has lost its store; the next one reads the record again.
                    None => self.parts().clock.sleep(Duration::from_millis(100)).await,
                }
            }
        }
        .boxed()
    }

    /// Whether the invocation can never finish: the app is in synchronous mode, so nothing else would run it.
    pub(crate) async fn is_stuck(&self, id: InvocationId) -> Result<bool> {
        Ok(self.is_synchronous() && !self.status(id).await?.status.is_final())
    }

    /// Counts the invocations with a status.
    pub async fn count(&self, status: Status) -> Result<u64> {
        Ok(self.parts().orchestrator.count().await?.statuses.get(&status).copied().unwrap_or(0))
    }
}

pub(crate) fn check_requirements(tasks: &TaskRegistry, states: &States) -> Result<()> {
    for task in tasks.all() {
        let mut requirements = Requirements::default();
        (task.definition().requires)(&mut requirements);
        if let Some(type_name) = requirements.missing(states) {
            return Err(missing_state(type_name, task.id()));
        }
    }
    Ok(())
}
