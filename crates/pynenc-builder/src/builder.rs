//! From settings to an app.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use pynenc_core::clock::{LeapingClock, SystemClock};
use pynenc_core::config::{
    AppConfig, ArgCacheConfig, Config, ConfigLoader, LoggingConfig, RetentionConfig, RunnerConfig, Setting, Value,
};
use pynenc_core::serializer::{JsonSerializer, MsgPackSerializer};
use pynenc_core::{
    ArgCache, Broker, Clock, ComponentContext, Components, Orchestrator, Plugin, Serializer, StateBackend, TriggerStore,
};
use pynenc_engine::context::States;
use pynenc_engine::task::{Attachments, TaskRegistry};
use pynenc_engine::{
    Engine, EngineSetup, Error, Extension, Parts, Result, Runner, Settings, TaskDefinition, TracePropagation,
};

use crate::app::Pynenc;
use crate::backends;

/// Where large arguments go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgCacheMode {
    /// To the Redis server of [`PynencBuilder::redis`], which has to be called too: every process of the app reads them
    /// there.
    Redis,
    /// Into this process, which then has to run what it submits.
    Memory,
    /// Nowhere: every argument travels with its call.
    Disabled,
}

impl ArgCacheMode {
    fn component(self) -> &'static str {
        match self {
            Self::Redis => "RedisArgCache",
            Self::Memory => "MemArgCache",
            Self::Disabled => "DisabledArgCache",
        }
    }
}

/// Collects what an app is made of.
///
/// Settings come from four layers, the later ones over the earlier ones: defaults, `pynenc.toml`, the calls on this
/// builder, and `PYNENC__` variables, so that whoever operates the app can override its code.
#[must_use = "a builder does nothing until `build`"]
pub struct PynencBuilder {
    loader: ConfigLoader,
    plugins: Vec<Box<dyn Plugin>>,
    tasks: Vec<&'static TaskDefinition>,
    takes_linked: bool,
    states: States,
    extensions: Vec<Arc<dyn Extension>>,
    /// What is left for the extensions that features bring.
    pub(crate) left: Attachments,
    clock: Option<Arc<dyn Clock>>,
    runner: Option<Arc<dyn Runner>>,
    propagation: Option<Arc<dyn TracePropagation>>,
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
            left: Attachments::default(),
            clock: None,
            runner: None,
            propagation: None,
            reads_back_arguments: None,
        }
    }
}

impl PynencBuilder {
    /// Sets one key, such as `runner.concurrency`.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.loader = self.loader.set(key, value);
        self
    }

    /// The app's name, which keeps apps that share a store apart.
    pub fn app_id(self, app_id: &str) -> Self {
        self.set("app_id", app_id)
    }

    /// Reads this file instead of searching for `pynenc.toml`.
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.loader = self.loader.file(path);
        self
    }

    /// Reads no file.
    pub fn without_config_file(mut self) -> Self {
        self.loader = self.loader.without_file();
        self
    }

    /// Reads these variables instead of the process's own.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.loader = self.loader.environment(variables);
        self
    }

    /// Sets a key over every other layer, from text as it stands in a variable: what a person said on the command line.
    pub fn argument(mut self, key: &str, text: &str) -> Self {
        self.loader = self.loader.argument(key, text);
        self
    }

    /// Whether crates of the user's own bring components, and so may read sections of their own.
    pub fn has_plugins(&self) -> bool {
        !self.plugins.is_empty()
    }

    /// The section `logging`, without making anything: for who has to listen before the app is made.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn logging(&self) -> Result<LoggingConfig> {
        Ok(self.loader.clone().load()?.section()?)
    }

    /// Every setting with its value and where it comes from, without making anything; secrets are masked. Sections that
    /// plug-ins read appear in [`Pynenc::explain`] alone.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], as far as it doesn't take a component to find it.
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

    /// Keeps everything in this process.
    pub fn memory(self) -> Self {
        self.set("broker_cls", "MemBroker")
            .set("orchestrator_cls", "MemOrchestrator")
            .set("state_backend_cls", "MemStateBackend")
            .set("trigger_store_cls", "MemTriggerStore")
    }

    /// Keeps everything on a Redis server, which the feature `redis` is needed for; other apps and other processes of
    /// this one may share it.
    pub fn redis(self, url: &str) -> Self {
        self.set("broker_cls", "RedisBroker")
            .set("orchestrator_cls", "RedisOrchestrator")
            .set("state_backend_cls", "RedisStateBackend")
            .set("trigger_store_cls", "RedisTriggerStore")
            .set("redis.redis_url", url)
    }

    /// Where arguments of at least `min_size` bytes go, and how many of them each process keeps at hand.
    pub fn arg_cache(self, mode: ArgCacheMode, min_size: usize, local_entries: usize) -> Self {
        self.set("arg_cache_cls", mode.component())
            .set("arg_cache.min_size_to_cache", min_size as u64)
            .set("arg_cache.local_cache_size", local_entries as u64)
    }

    /// Whether a submit runs the task before it returns; for tests and debugging.
    pub fn dev_mode_force_sync_tasks(self, synchronous: bool) -> Self {
        self.set("dev_mode_force_sync_tasks", synchronous)
    }

    /// Adds the components of a crate.
    pub fn plugin(mut self, plugin: impl Plugin) -> Self {
        self.plugins.push(Box::new(plugin));
        self
    }

    /// Adds tasks by name, beside those that were found at link time: `.tasks(tasks![add, fibonacci])`.
    pub fn tasks(mut self, tasks: impl IntoIterator<Item = &'static TaskDefinition>) -> Self {
        self.tasks.extend(tasks);
        self
    }

    /// Leaves out the tasks that were found at link time: the app knows those of [`PynencBuilder::tasks`] alone.
    ///
    /// For programs that hold several apps, and for tests of one part of a program.
    pub fn without_linked_tasks(mut self) -> Self {
        self.takes_linked = false;
        self
    }

    /// Shares a value with tasks: `#[inject] db: State<Db>`.
    pub fn state<T: Any + Send + Sync>(mut self, state: T) -> Self {
        self.states.insert(state);
        self
    }

    /// Plugs in what the engine doesn't know.
    pub fn extension(mut self, extension: impl Extension) -> Self {
        self.extensions.push(Arc::new(extension));
        self
    }

    /// Takes the time from `clock`, which components that have no clock of their own share.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Connects the app with the distributed tracing of its program: calls carry the trace that they are made in.
    pub fn trace_propagation(mut self, propagation: impl TracePropagation) -> Self {
        self.propagation = Some(Arc::new(propagation));
        self
    }

    /// Reads each argument back before its call is submitted, and refuses the call if that fails: a few types can be
    /// written in a format and not read from it. Debug builds, `TestApp` and synchronous mode do so unless told otherwise.
    ///
    /// Workers read back each result, whatever is set here.
    pub fn read_back_arguments(mut self, reads_back: bool) -> Self {
        self.reads_back_arguments = Some(reads_back);
        self
    }

    /// Runs with this runner, whatever `runner_cls` says.
    pub fn runner(mut self, runner: impl Runner) -> Self {
        self.runner = Some(Arc::new(runner));
        self
    }

    /// Makes the app.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] says which setting is wrong, where it came from, and what to do.
    pub async fn build(mut self) -> Result<Pynenc> {
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
        self.extensions.extend(backends::extensions(&config, &tasks, &mut self.left)?);
        // A program that names its server may still run in memory, where nothing else reads that section.
        backends::read_sections(&config)?;
        config.check(backends::ABSENT_SECTIONS)?;
        warn_of_unknown_tasks(&config, &tasks);
        let readers: Vec<Arc<dyn Serializer>> = vec![Arc::new(JsonSerializer), Arc::new(MsgPackSerializer)];
        let setup = EngineSetup { parts, settings, tasks, states: self.states, extensions: self.extensions, readers };
        Ok(Pynenc::assembled(Engine::new(setup)?, runner, config))
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
    })
}

/// Content on a server that nobody named would go to whatever answers at the default address.
fn check_arg_cache(config: &Config, app: &AppConfig) -> Result<()> {
    let is = |class: &str, name: &str| class.rsplit("::").next() == Some(name);
    let others = [&app.broker_cls, &app.orchestrator_cls, &app.state_backend_cls, &app.trigger_store_cls];
    let is_on_redis = others.iter().any(|class| class.rsplit("::").next().unwrap_or_default().starts_with("Redis"));
    if is(&app.arg_cache_cls, "RedisArgCache") && !is_on_redis && !config.is_given("redis") {
        let error = pynenc_core::Error::config("the argument cache is to be on Redis, and no Redis is configured");
        let advice = "call `.redis(url)`, set `redis.redis_url`, or use ArgCacheMode::Memory";
        return Err(Error::Config(error.with("arg_cache_cls", &app.arg_cache_cls).with("advice", advice)));
    }
    if is(&app.arg_cache_cls, "MemArgCache") && is_on_redis {
        tracing::warn!(
            "MemArgCache keeps large arguments in this process; others that share the Redis can't read them"
        );
    }
    Ok(())
}

/// In synchronous mode everything is in this process, whatever the settings name.
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
    Ok(Parts {
        broker: components.make::<dyn Broker>("broker_cls", &app.broker_cls, cx()).await?,
        orchestrator: components.make::<dyn Orchestrator>("orchestrator_cls", &app.orchestrator_cls, cx()).await?,
        state: components.make::<dyn StateBackend>("state_backend_cls", &app.state_backend_cls, cx()).await?,
        triggers: components.make::<dyn TriggerStore>("trigger_store_cls", &app.trigger_store_cls, cx()).await?,
        arg_cache: components.make::<dyn ArgCache>("arg_cache_cls", &app.arg_cache_cls, cx()).await?,
        serializer: components.make::<dyn Serializer>("serializer_cls", &app.serializer_cls, cx()).await?,
        clock: context.clock.clone(),
    })
}

/// Programs that share a file don't all link the same tasks, so a section for another's task is no error.
fn warn_of_unknown_tasks(config: &Config, tasks: &TaskRegistry) {
    let known: Vec<_> = tasks.all().into_iter().map(|task| task.id().as_str()).collect();
    for warning in config.unknown_tasks(&known) {
        tracing::warn!("{warning}");
    }
}
