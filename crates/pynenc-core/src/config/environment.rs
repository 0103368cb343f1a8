//! The layer of environment variables: `PYNENC__KEY` and `PYNENC__SECTION__KEY`.
//!
//! Variables without the prefix belong to other programs and are ignored.

use std::collections::BTreeMap;

use config::ValueKind;

use super::layer::Layer;
use super::origin::PREFIX;
use super::tasks::TaskVariable;
use super::unknown_settings::UnknownSetting;
use crate::error::{Error, Result};

const FILE: &str = "PYNENC__FILEPATH";
const TASK: &str = "TASK__";

/// The environment variables that concern pynenc, by their use.
#[derive(Default)]
pub(super) struct Environment {
    pub(super) layer: Layer,
    /// The path of the configuration file.
    pub(super) file: Option<String>,
    /// The options of single tasks.
    pub(super) tasks: Vec<TaskVariable>,
    /// Variables whose names can't be a setting.
    pub(super) malformed: Vec<UnknownSetting>,
    /// Names that start with `PYNENC_` and a single underscore. They may be misspelled settings.
    pub(super) single_underscore: Vec<String>,
}

impl Environment {
    /// Sorts the variables by their use.
    pub(super) fn read(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let mut environment = Self::default();
        let mut names = BTreeMap::new();
        for (name, value) in variables {
            if let Some(other) = names.insert(name.to_ascii_uppercase(), name.clone()) {
                refuse_same_key(&name, &other)?;
            }
            environment.take(&name, value)?;
        }
        Ok(environment)
    }

    fn take(&mut self, name: &str, value: String) -> Result<()> {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            self.single_underscore.extend(name.starts_with("PYNENC_").then(|| name.to_owned()));
            return Ok(());
        };
        if name == FILE {
            self.file = Some(value).filter(|path| !path.is_empty());
            return Ok(());
        }
        if let Some(rest) = rest.strip_prefix(TASK)
            && let Some(variable) = TaskVariable::parse(name, rest, &value)
        {
            self.tasks.push(variable);
            return Ok(());
        }
        self.insert(name, &rest.to_ascii_lowercase(), value)
    }

    fn insert(&mut self, name: &str, key: &str, value: String) -> Result<()> {
        let path: Vec<&str> = key.split("__").collect();
        if path.iter().any(|part| part.is_empty()) {
            let advice = format!("write {PREFIX}KEY or {PREFIX}SECTION__KEY");
            self.malformed.push(UnknownSetting { key: name.to_owned(), origin: name.to_owned(), advice });
            return Ok(());
        }
        self.layer.insert(&path, name, ValueKind::String(value))
    }
}

/// Fails if two names differ only in upper and lower case.
fn refuse_same_key(name: &str, other: &str) -> Result<()> {
    if !name.starts_with(PREFIX) || name == other {
        return Ok(());
    }
    Err(Error::config(format!("`{name}` and `{other}` set the same key: unset one of these environment variables")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use super::*;

    fn read(names: &[&str]) -> Result<Environment> {
        Environment::read(names.iter().map(|name| ((*name).to_owned(), "value".to_owned())))
    }

    fn check_refused(names: &[&str], part: &str) {
        let message = read(names).err().expect("the variables must be refused").to_string();
        assert!(message.contains(part) && names.iter().all(|name| message.contains(name)), "{message}");
    }

    #[test]
    fn variables_are_sorted_by_their_use() {
        let names = ["HOME", "PYNENC__FILEPATH", "PYNENC__APP_ID", "PYNENC__REDIS__REDIS_HOST", "PYNENC_APP_ID"];
        let environment = read(&names).unwrap();
        assert_eq!(environment.file.as_deref(), Some("value"));
        assert_eq!(environment.single_underscore, ["PYNENC_APP_ID"]);
        let mut keys: Vec<_> = environment.layer.0.keys().collect();
        keys.sort();
        assert_eq!(keys, ["app_id", "redis"]);
        assert!(environment.malformed.is_empty());
    }

    #[test]
    fn a_name_with_an_empty_part_is_malformed() {
        for name in ["PYNENC__", "PYNENC____APP_ID", "PYNENC__REDIS__", "PYNENC__TASK__"] {
            let malformed = read(&[name]).unwrap().malformed;
            assert_eq!(malformed.len(), 1, "{name}");
            assert!(malformed[0].to_string().contains(name));
        }
    }

    #[test]
    fn contradicting_variables_are_refused() {
        check_refused(&["PYNENC__REDIS", "PYNENC__REDIS__HOST"], "`redis` is set both to a value and as a section");
        check_refused(&["PYNENC__REDIS__HOST", "PYNENC__REDIS"], "`redis` is set both to a value and as a section");
        check_refused(&["PYNENC__APP_ID", "PYNENC__app_id"], "set the same key");
        assert!(read(&["other", "OTHER"]).is_ok());
    }
}
