//! The builder of an app.

use std::any::Any;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pynenc_core::clock::{LeapingClock, SystemClock};
use pynenc_core::config::{
    AppConfig, ArgCacheConfig, Config, ConfigLoader, LoggingConfig, RetentionConfig, RunnerConfig, Section, Setting,
    Value,
};
use pynenc_core::serializer::{JsonSerializer, MsgPackSerializer};
use pynenc_core::{
    ArgCache, Broker, Clock, ComponentContext, Components, ErrorKind, Orchestrator, Plugin, Serializer, StateBackend,
    TriggerStore,
};
use pynenc_engine::metrics::MetricsRecorder;
use pynenc_engine::task::{Attachments, States, TaskRegistry};
use pynenc_engine::{
    Engine, EngineSetup, Error, Extension, Parts, Result, Runner, Settings, TaskDefinition, TracePropagation,
};

use crate::app::Pynenc;
use crate::backends;

#[cfg(feature = "otel")]
mod otel;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "triggers")]
mod triggers;
#[cfg(feature = "workflow")]
mod workflow;

/// The backend of the argument cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgCacheMode {
    /// The Redis server, which all processes of the app share. Call [`PynencBuilder::redis`] too.
    Redis,
    /// A file beside the SQLite file, which all processes of the app share. Call [`PynencBuilder::sqlite`] too.
    Sqlite,
    /// The memory of this process. Only this process can then run the calls that it submits.
    Memory,
    /// No cache: every argument is stored with its call.
    Disabled,
}

impl ArgCacheMode {
    fn component(self) -> &'static str {
        match self {
            Self::Redis => "RedisArgCache",
            Self::Sqlite => "SqliteArgCache",
            Self::Memory => "MemArgCache",
            Self::Disabled => "DisabledArgCache",
        }
    }
}

impl Pynenc {
    /// Builds an app from `pynenc.toml` and the environment. By default, the app is in the memory of this process.
    ///
    /// # Errors
    ///
    /// As [`PynencBuilder::build`].
    pub fn new() -> BoxFuture<'static, Result<Self>> {
        Self::builder().build()
    }

    /// Creates a builder.
    pub fn builder() -> PynencBuilder {
        PynencBuilder::default()
    }
}

/// The builder of an app: settings, plugins, tasks and states.
///
/// Settings come from five layers: defaults, `pynenc.toml`, the calls of this builder, `PYNENC__` variables, and
/// [command-line arguments](Self::argument). A later layer overrides the earlier ones, so operators can override the
/// code.
#[must_use = "a builder does nothing until `build`"]
pub struct PynencBuilder {
    loader: ConfigLoader,
    plugins: Vec<Box<dyn Plugin>>,
    tasks: Vec<&'static TaskDefinition>,
    takes_linked: bool,
    states: States,
    extensions: Vec<Arc<dyn Extension>>,
    /// Data for the extensions of features.
    attachments: Attachments,
    clock: Option<Arc<dyn Clock>>,
    runner: Option<Arc<dyn Runner>>,
    propagation: Option<Arc<dyn TracePropagation>>,
    metrics: Option<MetricsRecorder>,
    reads_back_arguments: Option<bool>,
}

impl fmt::Debug for PynencBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PynencBuilder").field("tasks", &self.tasks).finish_non_exhaustive()
    }
}

impl Default for PynencBuilder {
    fn default() -> Self {
        Self {
            loader: Config::loader(),
            plugins: Vec::new(),
            tasks: Vec::new(),
            takes_linked: true,
            states: States::default(),
            extensions: Vec::new(),
            attachments: Attachments::default(),
            clock: None,
            runner: None,
            propagation: None,
            metrics: None,
            reads_back_arguments: None,
        }
    }
}

impl PynencBuilder {
    /// Sets the value of one setting, such as `runner.concurrency`. A `PYNENC__` variable overrides it.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.loader = self.loader.set(key, value);
        self
    }

    /// Sets the app's name. Apps with different names can share a store.
    pub fn app_id(self, app_id: &str) -> Self {
        self.set("app_id", app_id)
    }

    /// Reads this file instead of searching for `pynenc.toml`.
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.loader = self.loader.file(path);
        self
    }

    /// Reads no configuration file.
    pub fn without_config_file(mut self) -> Self {
        self.loader = self.loader.without_file();
        self
    }

    /// Reads these variables instead of the variables of the process.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.loader = self.loader.environment(variables);
        self
    }

    /// Sets the value of one setting from a command-line argument. It overrides every other layer, including variables.
    ///
    /// The text is parsed like the text of a variable.
    pub fn argument(mut self, key: &str, text: &str) -> Self {
        self.loader = self.loader.argument(key, text);
        self
    }

    /// Whether the app has plugins. A plugin's components may read sections of their own.
    pub fn has_plugins(&self) -> bool {
        !self.plugins.is_empty()
    }

    /// Reads a section without building the app, such as the section `logging` for a subscriber that is installed before
    /// the app is built.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for an invalid setting.
    pub fn section<S: Section>(&self) -> Result<S> {
        Ok(self.loader.clone().load()?.section()?)
    }

    /// Returns every setting with its value and its origin, without building the app. Secrets are masked.
    ///
    /// Only [`Pynenc::explain`] also lists the sections of plugins.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for an invalid setting. Errors that only components can find aren't reported.
    pub fn explain(&self) -> Result<Vec<Setting>> {
        let config = self.loader.clone().load()?;
        let app: AppConfig = config.section()?;
        settings(&config, &app, None, None)?;
        backends::read_sections(&config)?;
        TaskRegistry::new(self.takes_linked, &self.tasks, &config)?;
        if !self.has_plugins() {
            config.check(backends::ABSENT_SECTIONS)?;
        }
        Ok(config.explain())
    }

    /// Uses the components in the memory of this process.
    pub fn memory(self) -> Self {
        self.set("broker_cls", "MemBroker")
            .set("orchestrator_cls", "MemOrchestrator")
            .set("state_backend_cls", "MemStateBackend")
            .set("trigger_store_cls", "MemTriggerStore")
    }

    /// Uses the components on a Redis server. Requires the feature `redis`.
    ///
    /// Several processes of one app, and several apps, can share the server.
    pub fn redis(self, url: &str) -> Self {
        self.set("broker_cls", "RedisBroker")
            .set("orchestrator_cls", "RedisOrchestrator")
            .set("state_backend_cls", "RedisStateBackend")
            .set("trigger_store_cls", "RedisTriggerStore")
            .set("redis.redis_url", url)
    }

    /// Uses the components in a SQLite file, which is created if it doesn't exist. Requires the feature `sqlite`.
    ///
    /// Several processes of one app, and several apps, can share the file. Its folder must be on a local disk.
    pub fn sqlite(self, path: impl AsRef<Path>) -> Self {
        self.set("broker_cls", "SqliteBroker")
            .set("orchestrator_cls", "SqliteOrchestrator")
            .set("state_backend_cls", "SqliteStateBackend")
            .set("trigger_store_cls", "SqliteTriggerStore")
            .set("sqlite.path", path.as_ref().to_string_lossy().as_ref())
    }

    /// Configures the cache of arguments of at least `min_size` bytes. Each process caches `local_entries` of them
    /// locally.
    pub fn arg_cache(self, mode: ArgCacheMode, min_size: usize, local_entries: usize) -> Self {
        self.set("arg_cache_cls", mode.component())
            .set("arg_cache.min_size_to_cache", min_size as u64)
            .set("arg_cache.local_cache_size", local_entries as u64)
    }

    /// Turns synchronous mode on or off: a submit then runs the task before it returns. For tests and debugging.
    pub fn dev_mode_force_sync_tasks(self, synchronous: bool) -> Self {
        self.set("dev_mode_force_sync_tasks", synchronous)
    }

    /// Adds the components of another crate.
    pub fn plugin(mut self, plugin: impl Plugin) -> Self {
        self.plugins.push(Box::new(plugin));
        self
    }

    /// Adds tasks in addition to the tasks that were found at link time: `.tasks(tasks![add, fibonacci])`.
    pub fn tasks(mut self, tasks: impl IntoIterator<Item = &'static TaskDefinition>) -> Self {
        self.tasks.extend(tasks);
        self
    }

    /// Ignores the tasks that were found at link time. The app then has only the tasks of [`PynencBuilder::tasks`].
    ///
    /// For programs with several apps, and for tests of a part of a program.
    pub fn without_linked_tasks(mut self) -> Self {
        self.takes_linked = false;
        self
    }

    /// Shares a value with tasks: `#[inject] db: State<Db>`.
    pub fn state<T: Any + Send + Sync>(mut self, state: T) -> Self {
        self.states.insert(state);
        self
    }

    /// Adds an extension to the engine.
    pub fn extension(mut self, extension: impl Extension) -> Self {
        self.extensions.push(Arc::new(extension));
        self
    }

    /// Uses this clock. Components without a clock of their own use it too.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Connects the app with distributed tracing: each call carries the trace context of its caller. It replaces the traces
    /// of the feature `otel`.
    pub fn trace_propagation(mut self, propagation: impl TracePropagation) -> Self {
        self.propagation = Some(Arc::new(propagation));
        self
    }

    /// Records the app's metrics in this recorder. Without one, nothing is measured.
    pub fn metrics(mut self, recorder: MetricsRecorder) -> Self {
        self.metrics = Some(recorder);
        self
    }

    /// Sets whether a submit decodes each encoded argument again, to check that a worker can decode it.
    ///
    /// The check refuses values that the serializer can encode but not decode. By default it is on in debug builds, in
    /// `TestApp` and in synchronous mode. Workers always check results in this way.
    pub fn read_back_arguments(mut self, reads_back: bool) -> Self {
        self.reads_back_arguments = Some(reads_back);
        self
    }

    /// Uses this runner instead of the setting `runner_cls`.
    pub fn runner(mut self, runner: impl Runner) -> Self {
        self.runner = Some(Arc::new(runner));
        self
    }

    /// Builds the app.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] names the invalid setting, its origin, and how to correct the setting.
    pub fn build(mut self) -> BoxFuture<'static, Result<Pynenc>> {
        async move {
            let config = self.loader.load()?;
            let app: AppConfig = config.section()?;
            let leaping = app.dev_mode_force_sync_tasks.then(LeapingClock::default);
            let clock = leaping.clone().map(|clock| Arc::new(clock) as Arc<dyn Clock>).or(self.clock);
            let context = ComponentContext {
                config: config.clone(),
                app_id: app.app_id.as_str().into(),
                clock: clock.unwrap_or_else(|| Arc::new(SystemClock)),
            };
            check_arg_cache(&config, &app)?;
            let mut settings = settings(&config, &app, leaping, self.propagation)?;
            settings.metrics = self.metrics;
            #[cfg(feature = "otel")]
            otel::connect(&config, &mut settings, &mut self.extensions)?;
            if let Some(reads_back) = self.reads_back_arguments {
                settings.reads_back_arguments = reads_back;
            }
            let mut components = Components::default();
            backends::register(&mut components);
            self.plugins.iter().for_each(|plugin| plugin.register(&mut components));
            let parts = parts(&components, &app, &context).await?;
            let runner = match self.runner {
                Some(runner) => runner,
                None => components.make::<dyn Runner>("runner_cls", &app.runner_cls, context).await?,
            };
            let tasks = TaskRegistry::new(self.takes_linked, &self.tasks, &config)?;
            self.extensions.extend(backends::extensions(&config, &tasks, &mut self.attachments)?);
            // An app in memory may have a section for a server, which no component reads.
            backends::read_sections(&config)?;
            config.check(backends::ABSENT_SECTIONS)?;
            warn_of_unknown_tasks(&config, &tasks);
            let readers: Vec<Arc<dyn Serializer>> = vec![Arc::new(JsonSerializer), Arc::new(MsgPackSerializer)];
            let setup =
                EngineSetup { parts, settings, tasks, states: self.states, extensions: self.extensions, readers };
            Ok(Pynenc::assembled(Engine::new(setup)?, runner, config))
        }
        .boxed()
    }
}

fn settings(
    config: &Config,
    app: &AppConfig,
    synchronous: Option<LeapingClock>,
    propagation: Option<Arc<dyn TracePropagation>>,
) -> Result<Settings, Error> {
    Ok(Settings {
        app_id: app.app_id.as_str().into(),
        runner: config.section::<RunnerConfig>()?,
        retention: config.section::<RetentionConfig>()?,
        arg_cache: config.section::<ArgCacheConfig>()?,
        logging: config.section::<LoggingConfig>()?,
        reads_back_arguments: cfg!(debug_assertions) || synchronous.is_some(),
        synchronous,
        propagation,
        metrics: None,
    })
}

/// Refuses an argument cache on Redis if no Redis server is configured: the default address may belong to another
/// server.
fn check_arg_cache(config: &Config, app: &AppConfig) -> Result<()> {
    let is = |class: &str, name: &str| class.rsplit("::").next() == Some(name);
    let others = [&app.broker_cls, &app.orchestrator_cls, &app.state_backend_cls, &app.trigger_store_cls];
    let one_is_on =
        |store: &str| others.iter().any(|class| class.rsplit("::").next().unwrap_or_default().starts_with(store));
    let is_on_redis = one_is_on("Redis");
    if is(&app.arg_cache_cls, "RedisArgCache") && !is_on_redis && !config.is_set("redis") {
        let error = pynenc_core::Error::config("the argument cache needs Redis, but no Redis server is configured");
        let advice = "call `.redis(url)`, set `redis.redis_url`, or use ArgCacheMode::Memory";
        return Err(Error::Config(error.with("arg_cache_cls", &app.arg_cache_cls).with("advice", advice)));
    }
    if is(&app.arg_cache_cls, "MemArgCache") && (is_on_redis || one_is_on("Sqlite")) {
        tracing::warn!(
            "MemArgCache stores large arguments in this process: other processes of the app can't read these arguments"
        );
    }
    Ok(())
}

/// Creates the components that the settings name. In synchronous mode, all components are in memory.
async fn parts(components: &Components, app: &AppConfig, context: &ComponentContext) -> Result<Parts> {
    let mut app = app.clone();
    if app.dev_mode_force_sync_tasks {
        app.broker_cls = "MemBroker".into();
        app.orchestrator_cls = "MemOrchestrator".into();
        app.state_backend_cls = "MemStateBackend".into();
        app.trigger_store_cls = "MemTriggerStore".into();
        app.arg_cache_cls = "DisabledArgCache".into();
    }
    let cx = || context.clone();
    let arg_cache = match &*app.arg_cache_cls {
        "DisabledArgCache" | "pynenc_core::DisabledArgCache" => None,
        class => {
            let made = components.make::<dyn ArgCache>("arg_cache_cls", class, cx()).await;
            Some(made.map_err(|error| match error.kind() {
                ErrorKind::Config => error.with("without an argument cache", "DisabledArgCache"),
                _ => error,
            })?)
        }
    };
    Ok(Parts {
        broker: components.make::<dyn Broker>("broker_cls", &app.broker_cls, cx()).await?,
        orchestrator: components.make::<dyn Orchestrator>("orchestrator_cls", &app.orchestrator_cls, cx()).await?,
        state: components.make::<dyn StateBackend>("state_backend_cls", &app.state_backend_cls, cx()).await?,
        triggers: components.make::<dyn TriggerStore>("trigger_store_cls", &app.trigger_store_cls, cx()).await?,
        arg_cache,
        serializer: components.make::<dyn Serializer>("serializer_cls", &app.serializer_cls, cx()).await?,
        clock: context.clock.clone(),
    })
}

/// Warns of settings for unknown tasks. They aren't errors: programs with different tasks can share a file.
fn warn_of_unknown_tasks(config: &Config, tasks: &TaskRegistry) {
    let known: Vec<_> = tasks.all().into_iter().map(|task| task.id().as_str()).collect();
    for warning in config.unknown_tasks(&known) {
        tracing::warn!("{warning}");
    }
}
