//! The settings of one app, from all layers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use config::{Map, Value as Sourced, ValueKind};
use serde_json::Value as Json;

use super::environment::Environment;
use super::explain::{self, Setting};
use super::layer::{self, Layer, is_table};
use super::origin::{PREFIX, origin};
use super::reader;
use super::section::Section;
use super::tasks::{self, Tasks};
use super::unknown_settings::{self, UnknownSetting};
use crate::error::{Error, Result};
use crate::task_options::{TaskOptions, TaskPatch};

/// The settings of one app, from all layers. Clones are cheap.
#[derive(Clone)]
pub struct Config {
    shared: Arc<Shared>,
}

struct Shared {
    values: Map<String, Sourced>,
    tasks: Tasks,
    environment: Environment,
    sections_read: Mutex<SectionsRead>,
}

/// The settings of each section that was read, by the section's name.
type SectionsRead = BTreeMap<&'static str, Vec<Setting>>;

impl Config {
    /// Creates the settings from the merged layers and the variables that aren't part of a layer.
    pub(super) fn new(mut values: Map<String, Sourced>, mut environment: Environment) -> Self {
        let table = match values.get_mut(tasks::SECTION).map(|value| &mut value.kind) {
            Some(ValueKind::Table(table)) => std::mem::take(table),
            _ => Map::new(),
        };
        let tasks = Tasks::new(table, std::mem::take(&mut environment.tasks));
        Self { shared: Arc::new(Shared { values, tasks, environment, sections_read: Mutex::default() }) }
    }

    /// Reads a section and records its settings for [`Config::explain`] and [`Config::check`].
    ///
    /// # Errors
    ///
    /// A value of the wrong type, unknown keys (all in one error), or an error of [`Section::validate`].
    pub fn section<T: Section>(&self) -> Result<T> {
        let merged = self.merged(T::NAME, T::SECRETS, &layer::as_json(&T::default())?)?;
        let section: T = reader::read(T::NAME, T::SECRETS, merged.clone())?;
        section.validate()?;
        self.show(T::NAME, T::SECRETS, &layer::as_json(&section)?, &merged);
        Ok(section)
    }

    /// Records the defaults of a section, and merges the settings into them.
    fn merged(&self, name: &'static str, secrets: &[&str], defaults: &Json) -> Result<Map<String, Sourced>> {
        let layer = Layer::defaults(defaults.clone())?;
        self.show(name, secrets, defaults, &layer.0);
        let set = if name.is_empty() { self.root_keys(&layer) } else { self.table(name)? };
        layer::merge([layer, set])
    }

    /// Records the settings of a section.
    fn show(&self, name: &'static str, secrets: &[&str], values: &Json, sources: &Map<String, Sourced>) {
        self.record(name, explain::settings(name, secrets, values, sources));
    }

    /// Returns the options of one task: `[task]`, overridden by `code`, overridden by the settings for this task.
    ///
    /// # Errors
    ///
    /// A value of the wrong type, or unknown options of any task (all in one error).
    pub fn task_options(&self, task_id: &str, code: &TaskPatch) -> Result<TaskOptions> {
        let tasks = &self.shared.tasks;
        unknown_settings::refuse(tasks.unknown_options())?;
        self.show(tasks::SECTION, &[], &layer::as_json(&tasks.general()?)?, &tasks.general_values()?);
        tasks.options(task_id, code)
    }

    /// Fails if there is a section, root key, task option or variable that nothing has read.
    ///
    /// Call this method after all sections have been read. `advice` says for some section names how to have that
    /// section read, such as by turning on a feature.
    pub fn check(&self, advice: &[(&str, &str)]) -> Result<()> {
        let read = self.sections_read();
        let values = self.shared.values.iter().filter(|(name, _)| *name != tasks::SECTION || self.task_is_value());
        let mut unknown: Vec<_> = values.filter_map(|(name, value)| unread(&read, advice, name, value)).collect();
        let environment = &self.shared.environment;
        unknown.extend(environment.malformed.iter().cloned());
        unknown.extend(environment.single_underscore.iter().filter_map(|name| missing_underscore(&read, name)));
        unknown.extend(self.shared.tasks.unknown_options());
        unknown_settings::refuse(unknown)
    }

    /// Returns a warning for each task that has settings and isn't among `known`.
    pub fn unknown_tasks(&self, known: &[&str]) -> Vec<String> {
        self.shared.tasks.unknown_tasks(known)
    }

    /// Returns every setting of the sections read so far, with its value and its origin.
    pub fn explain(&self) -> Vec<Setting> {
        let sections: Vec<Setting> = self.sections_read().values().flatten().cloned().collect();
        let single = self.shared.tasks.single().map(|(key, value)| explain::as_set(key, value));
        sections.into_iter().chain(single).collect()
    }

    /// Whether a setting such as `redis.redis_url`, or any key of a section such as `redis`, is set, read or not.
    pub fn is_set(&self, key: &str) -> bool {
        let (section, name) = key.split_once('.').map_or((key, None), |(section, name)| (section, Some(name)));
        match (self.shared.values.get(section).map(|value| &value.kind), name) {
            (Some(ValueKind::Table(table)), Some(name)) => table.contains_key(name),
            (Some(ValueKind::Table(table)), None) => !table.is_empty(),
            _ => false,
        }
    }

    /// Returns the root keys that are set and that `defaults` knows.
    fn root_keys(&self, defaults: &Layer) -> Layer {
        let known = self.shared.values.iter().filter(|(key, _)| defaults.0.contains_key(*key));
        Layer(known.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    /// Returns the keys that are set in a section.
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

    fn record(&self, section: &'static str, settings: Vec<Setting>) {
        let mut read = self.sections_read();
        let known = read.entry(section).or_default();
        known.retain(|old| settings.iter().all(|new| new.key != old.key));
        known.extend(settings);
        known.sort();
    }

    fn sections_read(&self) -> MutexGuard<'_, SectionsRead> {
        self.shared.sections_read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Config {
    /// Shows the settings of [`Config::explain`] alone: a section that wasn't read may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("settings", &self.explain()).finish_non_exhaustive()
    }
}

/// Returns the report of a root key or section that nothing has read.
fn unread(read: &SectionsRead, advice: &[(&str, &str)], name: &str, value: &Sourced) -> Option<UnknownSetting> {
    let (key, origin) = (name.to_owned(), origin(value));
    let is_section = is_table(value) || value.kind == ValueKind::Nil;
    if root_names(read).any(|known| known == name) || (is_section && section_names(read).any(|known| known == name)) {
        return None;
    }
    if let Some((_, advice)) = advice.iter().find(|(section, _)| *section == name) {
        return Some(UnknownSetting { key, origin, advice: (*advice).to_owned() });
    }
    if section_names(read).any(|known| known == name) {
        return Some(UnknownSetting { key, origin, advice: "it is a section: set its keys".to_owned() });
    }
    if is_section {
        return Some(UnknownSetting::new("", name, &origin, section_names(read)));
    }
    Some(UnknownSetting::new("", name, &origin, root_names(read)))
}

/// Returns the report of a variable that would be a setting if its first underscore were doubled.
fn missing_underscore(read: &SectionsRead, name: &str) -> Option<UnknownSetting> {
    let rest = name.strip_prefix("PYNENC_")?;
    let lower = rest.to_ascii_lowercase();
    let first = lower.split("__").next()?;
    let is_known = if first == lower {
        root_names(read).any(|key| key == first)
    } else {
        section_names(read).any(|known| known == first)
    };
    let advice = format!("did you mean `{PREFIX}{rest}`?");
    is_known.then(|| UnknownSetting { key: name.to_owned(), origin: name.to_owned(), advice })
}

fn section_names(read: &SectionsRead) -> impl Iterator<Item = &str> + Clone {
    read.keys().copied().filter(|name| !name.is_empty() && *name != tasks::SECTION).chain([tasks::SECTION])
}

fn root_names(read: &SectionsRead) -> impl Iterator<Item = &str> + Clone {
    let root = read.get("").map(Vec::as_slice).unwrap_or_default();
    root.iter().map(|setting| setting.key.as_str())
}

fn not_a_section(name: &str) -> Error {
    Error::config(format!(
        "`{name}` is a section and has no value of its own: set its keys, such as {PREFIX}{}__KEY",
        name.to_ascii_uppercase()
    ))
}
