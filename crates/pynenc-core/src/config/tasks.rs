//! Task options in the settings: `[task]`, `[task."module.name"]` and `PYNENC__TASK__MODULE__NAME__OPTION`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use config::{Map, Value, ValueKind};

use super::layer::{self, Layer};
use super::origin::{origin, with_origin};
use super::reader;
use super::unknown_settings::{UnknownSetting, full_key};
use crate::error::Result;
use crate::suggestions::suggest_or_list;
use crate::task_options::{TaskOptions, TaskPatch};

pub(super) const SECTION: &str = "task";

/// The names of all task options.
static OPTIONS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let defaults =
        layer::as_json(&TaskOptions::default()).and_then(Layer::defaults).expect("task options serialize as a table");
    defaults.0.into_keys().collect()
});

/// The task options that the layers set.
pub(super) struct Tasks {
    /// The options for every task.
    general: Map<String, Value>,
    /// The options of single tasks, by the task's id with dots.
    by_id: BTreeMap<String, Map<String, Value>>,
    variables: Vec<TaskVariable>,
}

impl Tasks {
    /// Sorts the `task` table of the merged layers and the variables for single tasks.
    pub(super) fn new(table: Map<String, Value>, mut variables: Vec<TaskVariable>) -> Self {
        variables.sort_by(|a, b| a.name.cmp(&b.name));
        let mut tasks = Self { general: Map::new(), by_id: BTreeMap::new(), variables };
        for (key, value) in table {
            match value.kind {
                ValueKind::Table(options) if !is_option(&key) => drop(tasks.by_id.insert(key, options)),
                _ => drop(tasks.general.insert(key, value)),
            }
        }
        tasks
    }

    /// Returns the options of one task: the general ones, overridden by `code`, overridden by the task's own settings.
    pub(super) fn options(&self, id: &str, code: &TaskPatch) -> Result<TaskOptions> {
        let mut options = self.general()?;
        options.apply(code);
        let own = [self.table(id), self.variables(id)];
        if own.iter().all(|layer| layer.0.is_empty()) {
            return Ok(options);
        }
        let [table, variables] = own;
        let merged = layer::merge([layer::as_json(&options).and_then(Layer::defaults)?, table, variables])?;
        reader::read(&full_key(SECTION, id), &[], merged)
    }

    /// Returns the options of a task that sets none itself.
    pub(super) fn general(&self) -> Result<TaskOptions> {
        reader::read(SECTION, &[], self.general_values()?)
    }

    /// Returns the general options as values with their origins.
    pub(super) fn general_values(&self) -> Result<Map<String, Value>> {
        layer::merge([layer::as_json(&TaskOptions::default()).and_then(Layer::defaults)?, Layer(self.general.clone())])
    }

    /// Returns every option that is set for a single task: its full key and its value.
    pub(super) fn single(&self) -> impl Iterator<Item = (String, &Value)> {
        let tables = self.by_id.iter().flat_map(|(id, options)| {
            options.iter().map(move |(option, value)| (full_key(&full_key(SECTION, id), option), value))
        });
        tables.chain(self.variables.iter().map(|variable| (variable.key(), &variable.value)))
    }

    /// Returns a report of each name that isn't a task option.
    pub(super) fn unknown_options(&self) -> Vec<UnknownSetting> {
        let known = || OPTIONS.iter().map(String::as_str);
        let general = self.general.iter().map(|(option, value)| (SECTION.to_owned(), option, value));
        let tables = self.by_id.iter().flat_map(|(id, options)| {
            options.iter().map(move |(option, value)| (full_key(SECTION, id), option, value))
        });
        let variables =
            self.variables.iter().map(|variable| (full_key(SECTION, &variable.id), &variable.option, &variable.value));
        let all = general.chain(tables).chain(variables);
        all.filter(|(_, option, _)| !is_option(option))
            .map(|(section, option, value)| UnknownSetting::new(&section, option, &origin(value), known()))
            .collect()
    }

    /// Returns a warning for each table and variable whose task isn't among `known`.
    pub(super) fn unknown_tasks(&self, known: &[&str]) -> Vec<String> {
        let dotted: Vec<String> = known.iter().map(|id| canonical_id(id)).collect();
        let tables = self.by_id.iter().filter(|(id, _)| !dotted.contains(id)).map(|(id, options)| {
            let source = options.values().next().map_or_else(String::new, |value| format!(" from {}", origin(value)));
            format!("`[task.\"{id}\"]`{source} names an unknown task; {}", advice(id, &dotted))
        });
        let in_variables: Vec<String> = known.iter().map(|id| id_in_variables(id)).collect();
        let variables = self.variables.iter().filter(|variable| !in_variables.contains(&variable.id));
        let variables = variables.map(|TaskVariable { name, id, .. }| {
            format!("the variable `{name}` names an unknown task; {}", advice(id, &in_variables))
        });
        tables.chain(variables).collect()
    }

    fn table(&self, id: &str) -> Layer {
        Layer(self.by_id.get(&canonical_id(id)).cloned().unwrap_or_default())
    }

    fn variables(&self, id: &str) -> Layer {
        let id = id_in_variables(id);
        let own = self.variables.iter().filter(|variable| variable.id == id);
        Layer(own.map(|variable| (variable.option.clone(), variable.value.clone())).collect())
    }
}

/// An environment variable that sets an option of one task.
#[derive(Clone)]
pub(super) struct TaskVariable {
    name: String,
    /// The task's id as [`id_in_variables`] writes it.
    id: String,
    option: String,
    value: Value,
}

impl TaskVariable {
    /// Parses `MODULE__NAME__OPTION`. Returns none if the variable names no single task.
    pub(super) fn parse(name: &str, rest: &str, value: &str) -> Option<Self> {
        let rest = rest.to_ascii_uppercase();
        // A task's name may end in an underscore, so first look for a known option at the end.
        let known = OPTIONS.iter().find_map(|option| rest.strip_suffix(&format!("__{}", option.to_ascii_uppercase())));
        let id = known.or_else(|| rest.rsplit_once("__").map(|(id, _)| id))?;
        let option = rest[id.len() + 2..].to_ascii_lowercase();
        let is_complete = !id.is_empty() && !option.is_empty();
        is_complete.then(|| Self { name: name.to_owned(), id: id.to_owned(), option, value: with_origin(name, value) })
    }

    fn key(&self) -> String {
        full_key(&full_key(SECTION, &self.id), &self.option)
    }
}

/// Moves the options of each single task into one table under the task's id with dots, however the file nests the
/// tables.
pub(super) fn flatten_task_tables(layer: &mut Layer) {
    let Some(Value { kind: ValueKind::Table(table), .. }) = layer.0.get_mut(SECTION) else { return };
    let mut flat = Map::new();
    flatten("", std::mem::take(table), &mut flat);
    *table = flat;
}

fn flatten(id: &str, table: Map<String, Value>, flat: &mut Map<String, Value>) {
    for (key, value) in table {
        let origin = value.origin().map(str::to_owned);
        match value.kind {
            ValueKind::Table(inner) if !is_option(&key) => {
                let id = full_key(id, &canonical_id(&key));
                if inner.values().any(|value| !layer::is_table(value)) || inner.is_empty() {
                    flat.entry(id.clone()).or_insert_with(|| Value::new(origin.as_ref(), Map::<_, Value>::new()));
                }
                flatten(&id, inner, flat);
            }
            _ => insert_option(id, key, value, flat),
        }
    }
}

fn insert_option(id: &str, option: String, value: Value, flat: &mut Map<String, Value>) {
    if id.is_empty() {
        flat.insert(option, value);
        return;
    }
    let task = flat.entry(id.to_owned()).or_insert_with(|| Value::new(None, Map::<_, Value>::new()));
    if let ValueKind::Table(options) = &mut task.kind {
        options.insert(option, value);
    }
}

fn is_option(name: &str) -> bool {
    OPTIONS.contains(name)
}

/// Returns the id with dots: `::` and `.` mean the same in a task's id.
fn canonical_id(id: &str) -> String {
    id.replace("::", ".")
}

/// Returns the id as it is written in variables: `my_tasks::jobs::add` is `MY_TASKS__JOBS__ADD`.
fn id_in_variables(id: &str) -> String {
    let plain = |part: &str| part.replace(|c: char| !c.is_ascii_alphanumeric(), "_").to_ascii_uppercase();
    canonical_id(id).split('.').map(plain).collect::<Vec<_>>().join("__")
}

fn advice(id: &str, known: &[String]) -> String {
    suggest_or_list(id, known.iter().map(String::as_str))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use std::borrow::Cow;
    use std::fs;

    use super::super::Config;
    use super::*;

    const ADD: &str = "my_tasks::jobs::add";

    fn load(toml: &str, set: &[(&str, i64)], variables: &[(&str, &str)]) -> Config {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("pynenc.toml"), toml).unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let loader = Config::loader().search_from(dir.path()).environment(variables);
        set.iter().fold(loader, |loader, (key, value)| loader.set(key, *value)).load().unwrap()
    }

    fn code() -> TaskPatch {
        TaskPatch { max_retries: Some(4), queue: Some(Cow::Borrowed("code")), ..TaskPatch::NONE }
    }

    #[track_caller]
    fn check(config: &Config, id: &str, max_retries: u32) {
        assert_eq!(config.task_options(id, &code()).unwrap().max_retries, max_retries, "{id}");
    }

    #[test]
    fn each_layer_overrides_the_earlier_ones() {
        let retries = |config: Config| config.task_options(ADD, &TaskPatch::NONE).unwrap().max_retries;
        let file = "[task]\nmax_retries = 1\n";
        assert_eq!(retries(load("", &[], &[])), 0);
        assert_eq!(retries(load(file, &[], &[])), 1);
        assert_eq!(retries(load(file, &[("task.max_retries", 2)], &[])), 2);
        let general = ("PYNENC__TASK__MAX_RETRIES", "3");
        assert_eq!(retries(load(file, &[("task.max_retries", 2)], &[general])), 3);
        check(&load(file, &[], &[general]), ADD, 4);
        let own = format!("{file}[task.\"{ADD}\"]\nmax_retries = 5\n");
        check(&load(&own, &[], &[general]), ADD, 5);
        let built = ("task.my_tasks.jobs.add.max_retries", 6);
        check(&load(&own, &[built], &[general]), ADD, 6);
        let variable = ("PYNENC__TASK__MY_TASKS__JOBS__ADD__MAX_RETRIES", "7");
        let all = load(&own, &[built], &[general, variable]);
        check(&all, ADD, 7);
        check(&all, "my_tasks::jobs::other", 4);
        assert_eq!(all.task_options(ADD, &code()).unwrap().queue, "code");
    }

    #[test]
    fn dots_and_colons_and_nested_tables_name_the_same_task() {
        for header in
            ["\"my_tasks::jobs::add\"", "\"my_tasks.jobs.add\"", "my_tasks.jobs.add", "my_tasks.\"jobs::add\""]
        {
            check(&load(&format!("[task.{header}]\nmax_retries = 5\n"), &[], &[]), ADD, 5);
        }
        check(&load("", &[], &[("PYNENC__TASK__BILLING__RE_CHARGE___MAX_RETRIES", "5")]), "billing.re-charge_", 5);
    }

    #[test]
    fn an_option_can_be_a_table() {
        let config = load("[task]\nrunning_concurrency = { keys = ['a'] }\n", &[], &[]);
        let options = config.task_options(ADD, &TaskPatch::NONE).unwrap();
        assert_eq!(options.running_concurrency.to_string(), "keys(a)");
    }

    #[track_caller]
    fn check_refused(config: &Config, parts: &[&str]) {
        let message = config.task_options(ADD, &TaskPatch::NONE).unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "`{part}` isn't in: {message}");
        }
    }

    #[test]
    fn unknown_options_are_reported_from_every_layer() {
        let toml = "[task]\nmax_retrys = 1\n[task.\"elsewhere\"]\nqueu = 'a'\n";
        let config = load(toml, &[], &[("PYNENC__TASK__MY__ADD__PRIORITI", "1")]);
        let parts = [
            "`task.max_retrys` from ",
            "did you mean `max_retries`?",
            "`task.elsewhere.queu` from ",
            "did you mean `queue`?",
            "`task.MY__ADD.prioriti` from PYNENC__TASK__MY__ADD__PRIORITI, did you mean `priority`?",
        ];
        check_refused(&config, &parts);
        let message = config.check(&[]).unwrap_err().to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }

    #[test]
    fn a_wrong_value_names_its_key_and_source() {
        let of = |variable| load("", &[], &[(variable, "12")]);
        check_refused(&of("PYNENC__TASK__PRIORITY"), &["`task.priority`", "PYNENC__TASK__PRIORITY", "0 to 9"]);
        let own = "PYNENC__TASK__MY_TASKS__JOBS__ADD__BACKOFF";
        check_refused(&of(own), &["`task.my_tasks::jobs::add.backoff`", own, "constant(5s)"]);
    }

    #[test]
    fn unknown_tasks_are_warned_of() {
        let toml = "[task.\"my_tasks::jobs::ad\"]\nmax_retries = 1\n[task.\"my_tasks.jobs.add\"]\n[task.gone]\n";
        let config = load(toml, &[], &[("PYNENC__TASK__MY_TASKS__JOBS__AD__PRIORITY", "1")]);
        let warnings = config.unknown_tasks(&[ADD]).join("\n");
        for part in ["did you mean `my_tasks.jobs.add`?", "`[task.\"gone\"]`", "did you mean `MY_TASKS__JOBS__ADD`?"] {
            assert!(warnings.contains(part), "`{part}` isn't in: {warnings}");
        }
        assert_eq!(warnings.lines().count(), 3, "{warnings}");
    }

    #[test]
    fn each_option_is_explained() {
        let own = "PYNENC__TASK__MY_TASKS__JOBS__ADD__PRIORITY";
        let config = load("", &[("task.max_retries", 2)], &[(own, "7")]);
        config.task_options(ADD, &TaskPatch::NONE).unwrap();
        let found: Vec<_> = config
            .explain()
            .into_iter()
            .filter(|setting| setting.source != "default")
            .map(|setting| (setting.key, setting.value, setting.source))
            .collect();
        let expected = [("task.max_retries", "2", "builder"), ("task.MY_TASKS__JOBS__ADD.priority", "7", own)];
        assert_eq!(found, expected.map(|(key, value, source)| (key.to_owned(), value.to_owned(), source.to_owned())));
    }
}
