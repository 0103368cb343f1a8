//! The sections that the core and the engine read, except `logging`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;
use super::section::Section;
use crate::error::{Error, Result};

/// The root keys: the app's name and its components.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppConfig {
    /// The app's name, 1 to 64 of `A-Z a-z 0-9 _ . -`. Apps with different names can share a store.
    pub app_id: String,
    /// The broker, which queues invocations for runners.
    pub broker_cls: String,
    /// The orchestrator, which owns the status of every invocation.
    pub orchestrator_cls: String,
    /// The state backend, which stores arguments, results and histories.
    pub state_backend_cls: String,
    /// The trigger store, which stores triggers and events.
    pub trigger_store_cls: String,
    /// The argument cache, which stores each large argument once.
    pub arg_cache_cls: String,
    /// The serializer of arguments and results.
    pub serializer_cls: String,
    /// The runner, which runs invocations.
    pub runner_cls: String,
    /// Whether each task runs in its caller, without a runner: synchronous mode.
    pub dev_mode_force_sync_tasks: bool,
}

impl Default for AppConfig {
    fn default() -> Self {
        Self {
            app_id: "pynenc".into(),
            broker_cls: "MemBroker".into(),
            orchestrator_cls: "MemOrchestrator".into(),
            state_backend_cls: "MemStateBackend".into(),
            trigger_store_cls: "MemTriggerStore".into(),
            arg_cache_cls: "DisabledArgCache".into(),
            serializer_cls: "JsonSerializer".into(),
            runner_cls: "ThreadRunner".into(),
            dev_mode_force_sync_tasks: false,
        }
    }
}

impl Section for AppConfig {
    const NAME: &'static str = "";

    fn validate(&self) -> Result<()> {
        let has_valid_chars = self.app_id.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        let is_valid = has_valid_chars && (1..=64).contains(&self.app_id.len());
        require(is_valid, "app_id", "must be 1 to 64 letters, digits, `_`, `.` or `-`")
    }
}

/// The section `runner`: how a runner works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunnerConfig {
    /// How many invocations each process runs at once.
    pub concurrency: usize,
    /// How many worker processes a `ProcessRunner` starts; 0 for one per CPU core.
    pub num_processes: usize,
    /// The queues that the runner takes invocations from.
    pub queues: Vec<String>,
    /// The time between two heartbeats of the runner.
    #[serde(with = "duration")]
    pub heartbeat_interval: Duration,
    /// How long after its last heartbeat a runner counts as lost. Its invocations then go to other runners.
    #[serde(with = "duration")]
    pub lease: Duration,
    /// The time between two sweeps, which find ready invocations whose broker message was lost.
    #[serde(with = "duration")]
    pub sweep_interval: Duration,
    /// How long a runner that is shutting down waits for running invocations.
    #[serde(with = "duration")]
    pub shutdown_grace: Duration,
    /// How many paused invocations may stay in memory while they wait for others.
    pub max_paused: usize,
    /// How many runners an invocation may crash before it fails as a poison pill.
    pub poison_losses: u32,
    /// How many threads synchronous task functions may occupy after a timeout or a cancel. Above this number, the
    /// runner claims nothing more and stops.
    pub max_abandoned_threads: usize,
    /// How long an invocation waits for a runner that knows its task before it fails; zero to wait forever.
    #[serde(with = "duration")]
    pub unknown_ttl: Duration,
}

impl Default for RunnerConfig {
    fn default() -> Self {
        Self {
            concurrency: 64,
            num_processes: 0,
            queues: vec!["default".into()],
            heartbeat_interval: Duration::from_secs(5),
            lease: Duration::from_secs(15),
            sweep_interval: Duration::from_millis(2500),
            shutdown_grace: Duration::from_secs(25),
            max_paused: 10_000,
            poison_losses: 3,
            max_abandoned_threads: 64,
            unknown_ttl: Duration::from_secs(24 * 3600),
        }
    }
}

impl Section for RunnerConfig {
    const NAME: &'static str = "runner";

    fn validate(&self) -> Result<()> {
        require(self.concurrency > 0, "runner.concurrency", AT_LEAST_ONE)?;
        require(!self.queues.is_empty(), "runner.queues", "must name at least one queue")?;
        require(self.queues.iter().all(|queue| !queue.is_empty()), "runner.queues", "must not have an empty name")?;
        require(!self.heartbeat_interval.is_zero(), "runner.heartbeat_interval", NOT_ZERO)?;
        let is_long_enough = self.lease >= self.heartbeat_interval.saturating_mul(2);
        require(is_long_enough, "runner.lease", "must be at least twice `runner.heartbeat_interval`")?;
        require(!self.sweep_interval.is_zero(), "runner.sweep_interval", NOT_ZERO)?;
        require(self.max_paused > 0, "runner.max_paused", AT_LEAST_ONE)?;
        require(self.poison_losses > 0, "runner.poison_losses", AT_LEAST_ONE)
    }
}

/// The section `retention`: how long finished invocations are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// How long a succeeded or cancelled invocation is kept.
    #[serde(with = "duration")]
    pub results: Duration,
    /// How long a failed invocation is kept.
    #[serde(with = "duration")]
    pub failures: Duration,
    /// How long the record of an invocation that was never registered is kept.
    #[serde(with = "duration")]
    pub orphans: Duration,
    /// The time between two searches for expired invocations.
    #[serde(with = "duration")]
    pub interval: Duration,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            results: Duration::from_secs(24 * HOUR),
            failures: Duration::from_secs(7 * 24 * HOUR),
            orphans: Duration::from_secs(HOUR),
            interval: Duration::from_secs(30),
        }
    }
}

impl Section for RetentionConfig {
    const NAME: &'static str = "retention";

    fn validate(&self) -> Result<()> {
        require(!self.results.is_zero(), "retention.results", NOT_ZERO)?;
        require(!self.failures.is_zero(), "retention.failures", NOT_ZERO)?;
        require(!self.orphans.is_zero(), "retention.orphans", NOT_ZERO)?;
        require(!self.interval.is_zero(), "retention.interval", NOT_ZERO)
    }
}

/// The section `arg_cache`: which arguments, results and errors are cached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArgCacheConfig {
    /// The minimum serialized size, in bytes, of a cached value.
    pub min_size_to_cache: usize,
    /// The maximum size of a value in bytes. A larger value is refused.
    pub max_size: usize,
    /// The minimum size, in bytes, of compressed content. Content that compression doesn't shrink stays uncompressed.
    pub min_size_to_compress: usize,
    /// How long content is kept after its last use. Content that an invocation needs is kept as long as that
    /// invocation.
    #[serde(with = "duration")]
    pub ttl: Duration,
    /// The maximum number of contents in the local cache of a process. The least recently used is dropped first.
    pub local_cache_size: usize,
    /// The maximum size of the local cache of a process, in bytes.
    pub local_cache_bytes: u64,
}

impl Default for ArgCacheConfig {
    fn default() -> Self {
        Self {
            min_size_to_cache: 1024,
            max_size: 64 * MIB,
            min_size_to_compress: 16 * 1024,
            ttl: Duration::from_secs(10 * 24 * HOUR),
            local_cache_size: 1000,
            local_cache_bytes: 128 * MIB as u64,
        }
    }
}

impl Section for ArgCacheConfig {
    const NAME: &'static str = "arg_cache";

    fn validate(&self) -> Result<()> {
        require(!self.ttl.is_zero(), "arg_cache.ttl", NOT_ZERO)?;
        let is_large_enough = self.max_size >= self.min_size_to_cache;
        require(is_large_enough, "arg_cache.max_size", "must be at least `arg_cache.min_size_to_cache`")
    }
}

const HOUR: u64 = 60 * 60;
const MIB: usize = 1024 * 1024;
const AT_LEAST_ONE: &str = "must be at least 1";
const NOT_ZERO: &str = "must be longer than zero";

fn require(is_valid: bool, key: &str, rule: &str) -> Result<()> {
    if is_valid { Ok(()) } else { Err(Error::config(format!("the setting `{key}` {rule}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(section: &impl Section, refused: Option<&str>) {
        let message = section.validate().err().map(|error| error.to_string());
        match (message, refused) {
            (None, None) => {}
            (Some(message), Some(part)) => assert!(message.contains(part), "{message}"),
            (message, refused) => panic!("{message:?}, expected {refused:?}"),
        }
    }

    #[test]
    fn defaults_are_valid() {
        check(&AppConfig::default(), None);
        check(&RunnerConfig::default(), None);
        check(&RetentionConfig::default(), None);
        check(&ArgCacheConfig::default(), None);
    }

    #[test]
    fn an_app_id_has_a_limited_length_and_character_set() {
        let app = |app_id: &str| AppConfig { app_id: app_id.into(), ..AppConfig::default() };
        check(&app("My_app-1.0"), None);
        check(&app(&"a".repeat(64)), None);
        for refused in ["", &"a".repeat(65), "a b", "a:b", "é"] {
            check(&app(refused), Some("`app_id` must be 1 to 64"));
        }
    }

    #[test]
    fn invalid_runner_settings_are_refused() {
        let base = RunnerConfig::default;
        check(&RunnerConfig { lease: Duration::from_secs(10), ..base() }, None);
        check(&RunnerConfig { lease: Duration::from_secs(9), ..base() }, Some("`runner.lease`"));
        check(&RunnerConfig { concurrency: 0, ..base() }, Some("`runner.concurrency`"));
        check(&RunnerConfig { queues: vec![], ..base() }, Some("`runner.queues`"));
        check(&RunnerConfig { sweep_interval: Duration::ZERO, ..base() }, Some("`runner.sweep_interval`"));
        check(&RunnerConfig { heartbeat_interval: Duration::ZERO, ..base() }, Some("`runner.heartbeat_interval`"));
        check(&RunnerConfig { poison_losses: 0, ..base() }, Some("`runner.poison_losses`"));
    }

    #[test]
    fn invalid_retention_and_cache_settings_are_refused() {
        let retention = RetentionConfig { interval: Duration::ZERO, ..RetentionConfig::default() };
        check(&retention, Some("`retention.interval`"));
        check(&ArgCacheConfig { max_size: 1, ..ArgCacheConfig::default() }, Some("`arg_cache.max_size`"));
        check(&ArgCacheConfig { ttl: Duration::ZERO, ..ArgCacheConfig::default() }, Some("`arg_cache.ttl`"));
    }
}
