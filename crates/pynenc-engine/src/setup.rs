//! Builds an engine: connects the components, the client and the worker of synchronous mode.

use std::sync::Arc;

use pynenc_core::{Lane, Serializer};

use crate::argument_cache::LargeValues;
use crate::engine::{Engine, Extension, Inner, Parts, RunInline, Settings, check_requirements};
use crate::error::Result;
use crate::group_commit::GroupCommit;
use crate::local_runners::LocalRunners;
use crate::metrics::{MeasuredLane, Metrics, MetricsRecorder};
use crate::step_lane::StepLane;
use crate::task::{States, TaskRegistry};
use crate::worker::Worker;

/// The parts that an engine is built from.
#[derive(Debug)]
pub struct EngineSetup {
    /// The components.
    pub parts: Parts,
    /// The settings.
    pub settings: Settings,
    /// The app's tasks.
    pub tasks: TaskRegistry,
    /// The values that the app shares with its tasks.
    pub states: States,
    /// The extensions.
    pub extensions: Vec<Arc<dyn Extension>>,
    /// Serializers that the app decodes with, besides its own.
    pub readers: Vec<Arc<dyn Serializer>>,
}

impl Engine {
    /// Builds an engine.
    ///
    /// # Errors
    ///
    /// In synchronous mode, [`Error::Injection`](crate::Error::Injection) for a task that requires a missing state.
    pub fn new(setup: EngineSetup) -> Result<Self> {
        let EngineSetup { parts, settings, tasks, states, extensions, readers } = setup;
        if settings.synchronous.is_some() {
            check_requirements(&tasks, &states)?;
        }
        let lane = parts.orchestrator.lane(&parts.broker, &parts.state).unwrap_or_else(|| step_lane(&parts));
        let recorders = extensions.iter().filter_map(|extension| extension.recorder()).chain(settings.metrics.clone());
        let metrics = MetricsRecorder::join(recorders)
            .map(|recorder| Metrics::new(recorder, tasks.all().into_iter().map(|task| (&task.id, &task.queue))));
        let lane = match &metrics {
            Some(metrics) => Arc::new(MeasuredLane::new(lane, metrics.recorder())),
            None => lane,
        };
        let (submits, settles) = (GroupCommit::new(lane.clone()), GroupCommit::new(lane.clone()));
        let readers = readers.into_iter().chain([parts.serializer.clone()]).map(|it| (it.name(), it)).collect();
        let is_synchronous = settings.synchronous.is_some();
        let inline = is_synchronous.then(|| Arc::new(Worker::inline(&settings.runner)) as Arc<dyn RunInline>);
        let kept = settings.retention.results.max(settings.retention.failures);
        let large_values = LargeValues::new(parts.arg_cache.clone(), &settings.arg_cache, kept);
        Ok(Self::from_inner(Inner {
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
            large_values,
            blocking_threads: Arc::default(),
            metrics,
            local_runners: LocalRunners::default(),
        }))
    }
}

fn step_lane(parts: &Parts) -> Arc<dyn Lane> {
    Arc::new(StepLane::new(parts.broker.clone(), parts.orchestrator.clone(), parts.state.clone()))
}
