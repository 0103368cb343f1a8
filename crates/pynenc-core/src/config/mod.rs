//! Settings in layers: defaults, a file, builder calls, the environment; later wins.
//!
//! Each crate owns a [`Section`] and reads it by [`Config::section`]. A wrong value, an unknown key and an unknown section
//! are errors that name the key, where it came from and the nearest known one.
//!
//! ```
//! use pynenc_core::config::{Config, RunnerConfig};
//!
//! let variables = [("PYNENC__RUNNER__CONCURRENCY".to_owned(), "8".to_owned())];
//! let config = Config::loader().without_file().set("runner.lease", "1m").environment(variables).load()?;
//! let runner: RunnerConfig = config.section()?;
//! assert_eq!((runner.concurrency, runner.lease.as_secs()), (8, 60));
//! # Ok::<(), pynenc_core::error::Error>(())
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::config::{Map, Value as Sourced, ValueKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::task_options::{TaskOptions, TaskPatch};

pub mod duration;
mod environment;
mod explain;
mod layer;
mod loader;
mod logging;
mod reader;
pub(crate) mod report;
mod sections;
mod tasks;

pub use explain::Setting;
pub use layer::Value;
pub use loader::ConfigLoader;
pub use logging::{ArgumentPrinting, LogFormat, LoggingConfig};
pub use sections::{AppConfig, ArgCacheConfig, RetentionConfig, RunnerConfig};

use environment::{Environment, PREFIX};
use layer::{Layer, is_table, origin};
use report::Unknown;
use tasks::Tasks;

/// Every setting of core and its default, as a commented file to start from.
pub const DEFAULT_FILE: &str = include_str!("../../pynenc.toml");

/// A table of settings owned by the crate that reads it.
///
/// The known keys and their defaults are what `Self::default()` serializes as, so no field may be skipped or have an
/// alias; `flatten` and `untagged` would lose the types that text from the environment is converted by.
pub trait Section: Serialize + DeserializeOwned + Default {
    /// The table's name; empty for the root keys.
    const NAME: &'static str;

    /// Keys whose values are shown nowhere.
    const SECRETS: &'static [&'static str] = &[];

    /// Checks what the types can't; an error names the key.
    fn validate(&self) -> Result<()> {
        Ok(())
    }
}

/// The settings of one app, from all layers; a clone is cheap.
#[derive(Clone)]
pub struct Config {
    shared: Arc<Shared>,
}

struct Shared {
    values: Map<String, Sourced>,
    tasks: Tasks,
    environment: Environment,
    /// The sections read so far, by name.
    read: Mutex<BTreeMap<&'static str, Vec<Setting>>>,
}

impl Config {
    /// Starts to say where the settings come from.
    pub fn loader() -> ConfigLoader {
        ConfigLoader::new()
    }

    fn new(mut values: Map<String, Sourced>, mut environment: Environment) -> Self {
        let table = match values.get_mut(tasks::SECTION).map(|value| &mut value.kind) {
            Some(ValueKind::Table(table)) => std::mem::take(table),
            _ => Map::new(),
        };
        let tasks = Tasks::new(table, std::mem::take(&mut environment.tasks));
        Self { shared: Arc::new(Shared { values, tasks, environment, read: Mutex::default() }) }
    }

    /// Reads a section, and remembers it for [`Config::explain`] and [`Config::check`].
    ///
    /// # Errors
    ///
    /// A value of the wrong type, an unknown key (all are listed), or what [`Section::validate`] says.
    pub fn section<T: Section>(&self) -> Result<T> {
        let defaults = Layer::defaults(&T::default())?;
        self.remember(T::NAME, explain::settings(T::NAME, T::SECRETS, &T::default(), &defaults.0)?);
        let given = if T::NAME.is_empty() { self.root_keys(&defaults) } else { self.table(T::NAME)? };
        let merged = layer::merge([defaults, given])?;
        let section: T = reader::read(T::NAME, T::SECRETS, merged.clone())?;
        section.validate()?;
        self.remember(T::NAME, explain::settings(T::NAME, T::SECRETS, &section, &merged)?);
        Ok(section)
    }

    /// The options of one task: `[task]`, then `code`, then what is set for this task alone.
    ///
    /// # Errors
    ///
    /// A value of the wrong type, or an unknown option for any task (all are listed).
    pub fn task_options(&self, task_id: &str, code: &TaskPatch) -> Result<TaskOptions> {
        let tasks = &self.shared.tasks;
        report::refuse(tasks.unknown())?;
        let general = explain::settings(tasks::SECTION, &[], &tasks.general()?, &tasks.general_values()?)?;
        self.remember(tasks::SECTION, general);
        tasks.options(task_id, code)
    }

    /// Fails with every section, root key, task option and variable that nothing reads.
    ///
    /// Call it when all sections have been read. A hint is a section's name and what to do to have it read.
    pub fn check(&self, hints: &[(&str, &str)]) -> Result<()> {
        let read = self.read();
        let values = self.shared.values.iter().filter(|(name, _)| *name != tasks::SECTION || self.task_is_value());
        let mut unknown: Vec<Unknown> = values.filter_map(|(name, value)| stray(&read, hints, name, value)).collect();
        unknown.extend(self.shared.environment.odd.iter().cloned());
        unknown.extend(self.shared.environment.near.iter().filter_map(|name| slip(&read, name)));
        unknown.extend(self.shared.tasks.unknown());
        report::refuse(unknown)
    }

    /// Warns of each task that is configured and isn't among `known`.
    pub fn unknown_tasks(&self, known: &[&str]) -> Vec<String> {
        self.shared.tasks.strangers(known)
    }

    /// Every setting of the sections read so far, with its value and where it came from.
    pub fn explain(&self) -> Vec<Setting> {
        let sections: Vec<Setting> = self.read().values().flatten().cloned().collect();
        let single = self.shared.tasks.single().map(|(key, value)| explain::given(key, value));
        sections.into_iter().chain(single).collect()
    }

    /// Whether a setting such as `redis.redis_url` is set, or anything in a section such as `redis`, read or not.
    pub fn is_given(&self, key: &str) -> bool {
        let (section, name) = key.split_once('.').map_or((key, None), |(section, name)| (section, Some(name)));
        match (self.shared.values.get(section).map(|value| &value.kind), name) {
            (Some(ValueKind::Table(table)), Some(name)) => table.contains_key(name),
            (Some(ValueKind::Table(table)), None) => !table.is_empty(),
            _ => false,
        }
    }

    /// What is set of the root keys that `defaults` knows.
    fn root_keys(&self, defaults: &Layer) -> Layer {
        let known = self.shared.values.iter().filter(|(key, _)| defaults.0.contains_key(*key));
        Layer(known.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    /// What is set in a section.
    fn table(&self, name: &str) -> Result<Layer> {
        let Some(value) = self.shared.values.get(name) else { return Ok(Layer::default()) };
        match &value.kind {
            ValueKind::Table(table) => Ok(Layer(table.clone())),
            ValueKind::Nil => Ok(Layer::default()),
            _ => Err(not_a_section(name).with("source", origin(value))),
        }
    }

    fn task_is_value(&self) -> bool {
        let task = self.shared.values.get(tasks::SECTION);
        task.is_some_and(|value| !is_table(value) && value.kind != ValueKind::Nil)
    }

    fn remember(&self, section: &'static str, settings: Vec<Setting>) {
        let mut read = self.read();
        let known = read.entry(section).or_default();
        known.retain(|old| settings.iter().all(|new| new.key != old.key));
        known.extend(settings);
        known.sort();
    }

    fn read(&self) -> MutexGuard<'_, BTreeMap<&'static str, Vec<Setting>>> {
        self.shared.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Config {
    /// Shows what [`Config::explain`] does: a section that wasn't read may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("settings", &self.explain()).finish_non_exhaustive()
    }
}

type Read = BTreeMap<&'static str, Vec<Setting>>;

/// What is wrong with a root name, if anything is.
fn stray(read: &Read, hints: &[(&str, &str)], name: &str, value: &Sourced) -> Option<Unknown> {
    let (key, origin) = (name.to_owned(), origin(value));
    let section = is_table(value) || value.kind == ValueKind::Nil;
    if root_names(read).any(|known| known == name) || (section && section_names(read).any(|known| known == name)) {
        return None;
    }
    if let Some((_, advice)) = hints.iter().find(|(hinted, _)| *hinted == name) {
        return Some(Unknown { key, origin, advice: (*advice).to_owned() });
    }
    if section_names(read).any(|known| known == name) {
        return Some(Unknown { key, origin, advice: "it is a section: set its keys".to_owned() });
    }
    if section {
        return Some(Unknown::among("", name, &origin, section_names(read)));
    }
    Some(Unknown::among("", name, &origin, root_names(read)))
}

/// A variable that would be ours if its underscore were doubled.
fn slip(read: &Read, name: &str) -> Option<Unknown> {
    let rest = name.strip_prefix("PYNENC_")?;
    let lower = rest.to_ascii_lowercase();
    let first = lower.split("__").next()?;
    let ours = if first == lower {
        root_names(read).any(|key| key == first)
    } else {
        section_names(read).any(|known| known == first)
    };
    let advice = format!("did you mean `{PREFIX}{rest}`?");
    ours.then(|| Unknown { key: name.to_owned(), origin: name.to_owned(), advice })
}

fn section_names(read: &Read) -> impl Iterator<Item = &str> + Clone {
    read.keys().copied().filter(|name| !name.is_empty() && *name != tasks::SECTION).chain([tasks::SECTION])
}

fn root_names(read: &Read) -> impl Iterator<Item = &str> + Clone {
    let root = read.get("").map(Vec::as_slice).unwrap_or_default();
    root.iter().map(|setting| setting.key.as_str())
}

fn not_a_section(name: &str) -> Error {
    Error::config(format!("`{name}` is a section: set its keys, such as {PREFIX}{}__KEY", name.to_ascii_uppercase()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests;
