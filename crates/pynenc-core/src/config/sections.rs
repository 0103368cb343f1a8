//! The sections that core and the engine read.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Section, duration};
use crate::error::{Error, Result};

/// The root keys: which app this is and which components it is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppConfig {
    /// Keeps apps that share a store apart: 1 to 64 of `A-Z a-z 0-9 _ . -`.
    pub app_id: String,
    /// Queues invocations for runners.
    pub broker_cls: String,
    /// Holds the status of every invocation.
    pub orchestrator_cls: String,
    /// Holds arguments, results and histories.
    pub state_backend_cls: String,
    /// Holds triggers and events.
    pub trigger_store_cls: String,
    /// Holds large arguments once.
    pub arg_cache_cls: String,
    /// Writes arguments and results.
    pub serializer_cls: String,
    /// Runs invocations.
    pub runner_cls: String,
    /// Runs each task in its caller, without a runner.
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
        let plain = self.app_id.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        let holds = plain && (1..=64).contains(&self.app_id.len());
        require(holds, "app_id", "must be 1 to 64 letters, digits, `_`, `.` or `-`")
    }
}

/// How a runner works, in the section `runner`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunnerConfig {
    /// How many invocations run at once, in each process.
    pub concurrency: usize,
    /// How many worker processes a `ProcessRunner` has; 0 for one for each core.
    pub num_processes: usize,
    /// The queues it takes work from.
    pub queues: Vec<String>,
    /// How often it tells that it lives.
    #[serde(with = "duration")]
    pub heartbeat_interval: Duration,
    /// How long after its last heartbeat its work is given to others.
    #[serde(with = "duration")]
    pub lease: Duration,
    /// How often work that nobody holds is looked for.
    #[serde(with = "duration")]
    pub sweep_interval: Duration,
    /// How long a runner that was told to stop waits for what runs.
    #[serde(with = "duration")]
    pub shutdown_grace: Duration,
    /// How many invocations may wait for others and keep their place in memory.
    pub max_paused: usize,
    /// How many runners an invocation may take down before it is failed.
    pub poison_losses: u32,
    /// How many threads plain bodies may keep after a time limit or a cancel, before the runner claims nothing more and ends.
    pub max_abandoned_threads: usize,
    /// How long an invocation waits for a runner that has its task before it is failed; zero for as long as it takes.
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
        require(!self.queues.is_empty(), "runner.queues", "must name a queue")?;
        require(self.queues.iter().all(|queue| !queue.is_empty()), "runner.queues", "must not hold an empty name")?;
        require(!self.heartbeat_interval.is_zero(), "runner.heartbeat_interval", NOT_ZERO)?;
        let beats = self.lease >= self.heartbeat_interval.saturating_mul(2);
        require(beats, "runner.lease", "must be at least twice `runner.heartbeat_interval`")?;
        require(!self.sweep_interval.is_zero(), "runner.sweep_interval", NOT_ZERO)?;
        require(self.max_paused > 0, "runner.max_paused", AT_LEAST_ONE)?;
        require(self.poison_losses > 0, "runner.poison_losses", AT_LEAST_ONE)
    }
}

/// How long what has ended is kept, in the section `retention`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// How long an invocation that succeeded or was cancelled is kept.
    #[serde(with = "duration")]
    pub results: Duration,
    /// How long an invocation that failed is kept.
    #[serde(with = "duration")]
    pub failures: Duration,
    /// How long an invocation is kept whose registration never came.
    #[serde(with = "duration")]
    pub orphans: Duration,
    /// How often what is out of date is looked for.
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

/// Which arguments are cached, in the section `arg_cache`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArgCacheConfig {
    /// An argument of at least so many bytes, serialized, is cached.
    pub min_size_to_cache: usize,
    /// A value of more bytes than this is refused.
    pub max_size: usize,
    /// Content of at least so many bytes is compressed, if that makes it smaller.
    pub min_size_to_compress: usize,
    /// How long content is kept after its last use, if what uses it isn't kept longer.
    #[serde(with = "duration")]
    pub ttl: Duration,
    /// How many contents each process keeps, the least recently used out first.
    pub local_cache_size: usize,
    /// How many bytes of content each process keeps.
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
        let holds = self.max_size >= self.min_size_to_cache;
        require(holds, "arg_cache.max_size", "must be at least `arg_cache.min_size_to_cache`")
    }
}

const HOUR: u64 = 60 * 60;
const MIB: usize = 1024 * 1024;
const AT_LEAST_ONE: &str = "must be at least 1";
const NOT_ZERO: &str = "must be longer than zero";

fn require(holds: bool, key: &str, rule: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::config(format!("the setting `{key}` {rule}"))) }
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
    fn an_app_id_is_short_and_plain() {
        let app = |app_id: &str| AppConfig { app_id: app_id.into(), ..AppConfig::default() };
        check(&app("My_app-1.0"), None);
        check(&app(&"a".repeat(64)), None);
        for refused in ["", &"a".repeat(65), "a b", "a:b", "é"] {
            check(&app(refused), Some("`app_id` must be 1 to 64"));
        }
    }

    #[test]
    fn a_runner_beats_twice_in_a_lease() {
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
    fn nothing_is_kept_for_no_time() {
        let retention = RetentionConfig { interval: Duration::ZERO, ..RetentionConfig::default() };
        check(&retention, Some("`retention.interval`"));
        check(&ArgCacheConfig { max_size: 1, ..ArgCacheConfig::default() }, Some("`arg_cache.max_size`"));
        check(&ArgCacheConfig { ttl: Duration::ZERO, ..ArgCacheConfig::default() }, Some("`arg_cache.ttl`"));
    }
}
