//! The engine: components in their places, and what callers ask of them.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pynenc_core::broker::Message;
use pynenc_core::clock::LeapingClock;
use pynenc_core::config::{ArgCacheConfig, LoggingConfig, RetentionConfig, RunnerConfig};
use pynenc_core::orchestrator::HistoryEntry;
use pynenc_core::record::{Argument, InvocationRecord, Payload, Retention};
use pynenc_core::{
    ArgCache, Broker, Clock, InvocationId, Lane, Orchestrator, Serializer, StateBackend, Status, StatusRecord,
    TriggerStore,
};
use rustc_hash::FxHashMap;
use serde::de::DeserializeOwned;

use crate::arguments::{ArgumentSource, NamedValue};
use crate::content::Contents;
use crate::context::{Requirements, States, missing_state};
use crate::error::{Error, Result};
use crate::extension::{Changed, Extension};
use crate::group_commit::{GroupCommit, Settles, Submits};
use crate::invocation::Invocation;
use crate::step_lane::StepLane;
use crate::task::{Task, TaskRegistry};
use crate::telling::TracePropagation;
use crate::worker::{BodyThreads, Worker, pause_before};

/// The components of an app.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Carries hints.
    pub broker: Arc<dyn Broker>,
    /// Holds the truth.
    pub orchestrator: Arc<dyn Orchestrator>,
    /// Holds facts.
    pub state: Arc<dyn StateBackend>,
    /// Remembers what triggers need.
    pub triggers: Arc<dyn TriggerStore>,
    /// Holds large content.
    pub arg_cache: Arc<dyn ArgCache>,
    /// Writes new calls.
    pub serializer: Arc<dyn Serializer>,
    /// Tells the time to clients; stores have their own.
    pub clock: Arc<dyn Clock>,
}

/// The settings the engine reads.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The app's name.
    pub app_id: Arc<str>,
    /// How runners work.
    pub runner: RunnerConfig,
    /// How long things are kept.
    pub retention: RetentionConfig,
    /// What is moved out of calls.
    pub arg_cache: ArgCacheConfig,
    /// What is told.
    pub logging: LoggingConfig,
    /// How the app takes part in its program's distributed tracing.
    pub propagation: Option<Arc<dyn TracePropagation>>,
    /// The clock of synchronous mode, in which a submit runs the task before it returns and leaps over delays.
    pub synchronous: Option<LeapingClock>,
    /// Whether each argument is read back before its call is submitted.
    pub reads_back_arguments: bool,
}

/// What an engine is made of.
#[derive(Debug)]
pub struct EngineSetup {
    /// Its components.
    pub parts: Parts,
    /// Its settings.
    pub settings: Settings,
    /// The tasks it knows.
    pub tasks: TaskRegistry,
    /// What it shares with its tasks.
    pub states: States,
    /// What plugs in.
    pub extensions: Vec<Arc<dyn Extension>>,
    /// Serializers it can read besides its own.
    pub readers: Vec<Arc<dyn Serializer>>,
}

/// An app's engine. Clones are cheap and mean the same one.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    parts: Parts,
    settings: Settings,
    tasks: TaskRegistry,
    states: States,
    extensions: Vec<Arc<dyn Extension>>,
    readers: FxHashMap<&'static str, Arc<dyn Serializer>>,
    lane: Arc<dyn Lane>,
    submits: GroupCommit<Submits>,
    settles: GroupCommit<Settles>,
    inline: Option<Arc<Worker>>,
    contents: Contents,
    body_threads: Arc<BodyThreads>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("app_id", &self.0.settings.app_id).finish_non_exhaustive()
    }
}

impl Engine {
    /// Puts the components in their places.
    ///
    /// # Errors
    ///
    /// In synchronous mode, [`Error::Injection`] where a task needs a state that isn't there.
    pub fn new(setup: EngineSetup) -> Result<Self> {
        let EngineSetup { parts, settings, tasks, states, extensions, readers } = setup;
        if settings.synchronous.is_some() {
            check_requirements(&tasks, &states)?;
        }
        let lane = parts.orchestrator.lane(&parts.broker, &parts.state).unwrap_or_else(|| step_lane(&parts));
        let (submits, settles) = (GroupCommit::new(lane.clone()), GroupCommit::new(lane.clone()));
        let readers = readers.into_iter().chain([parts.serializer.clone()]).map(|it| (it.name(), it)).collect();
        let inline = settings.synchronous.as_ref().map(|_| Arc::new(Worker::inline(&settings.runner)));
        let kept = settings.retention.results.max(settings.retention.failures);
        let contents = Contents::new(parts.arg_cache.clone(), &settings.arg_cache, kept);
        Ok(Self(Arc::new(Inner {
            parts,
            settings,
            tasks,
            states,
            extensions,
            readers,
            lane,
            submits,
            settles,
            inline,
            contents,
            body_threads: Arc::default(),
        })))
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

    pub(crate) fn inline_worker(&self) -> Option<&Arc<Worker>> {
        self.0.inline.as_ref()
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

    pub(crate) fn changed(&self, changed: &Changed<'_>) {
        self.0.extensions.iter().for_each(|extension| extension.on_change(changed));
    }

    /// Prepares every extension for a runner of this process, as soon as their stores let it.
    ///
    /// # Errors
    ///
    /// What no later try would change.
    pub async fn prepare(&self) -> Result<()> {
        for extension in self.extensions() {
            let mut failures = 0;
            while let Err(error) = extension.prepare(self).await {
                if !error.is_retryable() {
                    return Err(error);
                }
                tracing::warn!(%error, extension = extension.name(), "a runner waits until its extension is prepared");
                self.parts().clock.sleep(pause_before(failures)).await;
                failures += 1;
            }
        }
        Ok(())
    }

    /// Checks that every task can be given what its parameters ask for.
    ///
    /// # Errors
    ///
    /// [`Error::Injection`] for the first that can't.
    pub fn check_requirements(&self) -> Result<()> {
        check_requirements(&self.0.tasks, &self.0.states)
    }

    /// The serializer of a name, for what it wrote.
    ///
    /// # Errors
    ///
    /// The app doesn't have it.
    pub fn reader(&self, name: &str) -> Result<Arc<dyn Serializer>, pynenc_core::Error> {
        self.0.readers.get(name).cloned().ok_or_else(|| {
            let mut known: Vec<_> = self.0.readers.keys().copied().collect();
            known.sort_unstable();
            pynenc_core::Error::corrupt("written by a serializer that this app doesn't have")
                .with("serializer", name)
                .with("known", known.join(", "))
        })
    }

    pub(crate) fn retention(&self) -> Retention {
        let RetentionConfig { results, failures, .. } = self.0.settings.retention;
        Retention { results, failures }
    }

    /// The handle of an invocation that was submitted anywhere.
    pub fn invocation<T: Task>(&self, id: InvocationId) -> Invocation<T> {
        Invocation::new(self.clone(), id, None)
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

    /// The history of an invocation, oldest line first.
    ///
    /// # Errors
    ///
    /// [`Error::InvocationNotFound`].
    pub async fn history(&self, id: InvocationId) -> Result<Vec<HistoryEntry>> {
        let history = self.parts().orchestrator.history(id).await?;
        if history.is_empty() { Err(Error::InvocationNotFound(id)) } else { Ok(history) }
    }

    pub(crate) fn body_threads(&self) -> &Arc<BodyThreads> {
        &self.0.body_threads
    }

    /// How many threads are kept by plain bodies that were given up, because they went on after a time limit, a cancel or
    /// the end of their runner. A runtime that is dropped waits for them.
    pub fn abandoned_threads(&self) -> usize {
        self.body_threads().abandoned()
    }

    /// Pushes hints. One that is lost is what a hint may be: the sweep brings it back.
    pub(crate) async fn hint(&self, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        if let Err(error) = self.parts().broker.push(messages).await {
            tracing::debug!(%error, count = messages.len(), "hints were lost; the sweep will bring them back");
        }
    }

    /// Forgets every invocation, hint, trigger run and cached argument of the app.
    pub async fn purge(&self) -> Result<()> {
        let Parts { broker, orchestrator, state, triggers, .. } = self.parts();
        broker.purge().await?;
        orchestrator.purge().await?;
        state.purge().await?;
        triggers.purge().await?;
        self.contents().purge().await?;
        Ok(())
    }

    /// Large values, and where they are.
    pub(crate) fn contents(&self) -> &Contents {
        &self.0.contents
    }

    /// All arguments, wherever they are.
    pub(crate) async fn fetch_all(&self, arguments: &[Argument]) -> Result<Vec<NamedValue>, pynenc_core::Error> {
        let mut fetched = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let value = self.contents().fetch(&argument.value).await;
            fetched.push((argument.name.clone(), value.map_err(|error| error.with("argument", &argument.name))?));
        }
        Ok(fetched)
    }

    /// The arguments of a call, to be decoded.
    ///
    /// # Errors
    ///
    /// They are externalized and gone, or written by a serializer that the app doesn't have.
    pub async fn arguments(&self, record: &InvocationRecord) -> Result<ArgumentSource, pynenc_core::Error> {
        let serializer = self.reader(&record.serializer)?;
        Ok(ArgumentSource::of_fetched(serializer, self.fetch_all(&record.arguments).await?))
    }

    /// A value that was kept with an invocation, such as its result.
    ///
    /// # Errors
    ///
    /// It is externalized and gone, or it isn't what is asked for.
    pub async fn value<T: DeserializeOwned>(&self, value: &Payload, serializer: &str) -> Result<T, pynenc_core::Error> {
        let reader = self.reader(serializer)?;
        self.contents().fetch(value).await?.decode(&*reader)
    }

    /// The bytes of a value, wherever they are.
    ///
    /// # Errors
    ///
    /// It is externalized and gone.
    pub async fn bytes(&self, value: &Payload) -> Result<Bytes, pynenc_core::Error> {
        Ok(self.contents().fetch(value).await?.into_bytes())
    }

    /// Waits until `id` has ended, without attributing the wait to a task.
    pub(crate) async fn ended(&self, id: InvocationId) -> Result<StatusRecord> {
        use futures_util::StreamExt;
        loop {
            let mut ends = self.parts().orchestrator.watch(&[id]).await?;
            match ends.next().await {
                Some((_, Some(record))) => return Ok(record),
                Some((_, None)) => return Err(Error::InvocationNotFound(id)),
                // A watch that closes early has lost its store; the next one reads the record again.
                None => self.parts().clock.sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Whether nothing but this process could end `id`, and it won't.
    pub(crate) async fn is_stuck(&self, id: InvocationId) -> Result<bool> {
        Ok(self.inline_worker().is_some() && !self.status(id).await?.status.is_final())
    }

    /// Counts invocations by status.
    pub async fn count(&self, status: Status) -> Result<u64> {
        Ok(self.parts().orchestrator.count().await?.statuses.get(&status).copied().unwrap_or(0))
    }
}

fn step_lane(parts: &Parts) -> Arc<dyn Lane> {
    Arc::new(StepLane::new(parts.broker.clone(), parts.orchestrator.clone(), parts.state.clone()))
}

fn check_requirements(tasks: &TaskRegistry, states: &States) -> Result<()> {
    for task in tasks.all() {
        let mut requirements = Requirements::default();
        (task.definition.requires)(&mut requirements);
        if let Some(type_name) = requirements.missing(states) {
            return Err(missing_state(type_name, task.id()));
        }
    }
    Ok(())
}
