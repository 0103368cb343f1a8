//! The layer of environment variables: `PYNENC__KEY` and `PYNENC__SECTION__KEY`.

use std::collections::BTreeMap;

use config::ValueKind;

use super::layer::Layer;
use super::report::Unknown;
use super::tasks::Variable;
use crate::error::{Error, Result};

pub(super) const PREFIX: &str = "PYNENC__";
const FILE: &str = "PYNENC__FILEPATH";
const TASK: &str = "TASK__";

/// What the environment says.
#[derive(Default)]
pub(super) struct Environment {
    pub(super) layer: Layer,
    /// The configuration file it names.
    pub(super) file: Option<String>,
    /// The options it sets for single tasks.
    pub(super) tasks: Vec<Variable>,
    /// Names that can't be a setting.
    pub(super) odd: Vec<Unknown>,
    /// Names with one underscore after the prefix, which may or may not be meant for us.
    pub(super) near: Vec<String>,
}

impl Environment {
    /// Sorts the variables that are meant for us; others are left alone.
    pub(super) fn read(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let mut environment = Self::default();
        let mut names = BTreeMap::new();
        for (name, value) in variables {
            if let Some(twin) = names.insert(name.to_ascii_uppercase(), name.clone()) {
                refuse_twin(&name, &twin)?;
            }
            environment.take(&name, value)?;
        }
        Ok(environment)
    }

    fn take(&mut self, name: &str, value: String) -> Result<()> {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            self.near.extend(name.starts_with("PYNENC_").then(|| name.to_owned()));
            return Ok(());
        };
        if name == FILE {
            self.file = Some(value).filter(|path| !path.is_empty());
            return Ok(());
        }
        if let Some(rest) = rest.strip_prefix(TASK)
            && let Some(variable) = Variable::split(name, rest, &value)
        {
            self.tasks.push(variable);
            return Ok(());
        }
        self.insert(name, &rest.to_ascii_lowercase(), value)
    }

    fn insert(&mut self, name: &str, key: &str, value: String) -> Result<()> {
        let path: Vec<&str> = key.split("__").collect();
        if path.iter().any(|part| part.is_empty()) {
            let advice = format!("a name is {PREFIX}KEY or {PREFIX}SECTION__KEY");
            self.odd.push(Unknown { key: name.to_owned(), origin: name.to_owned(), advice });
            return Ok(());
        }
        self.layer.insert(&path, name, ValueKind::String(value))
    }
}

/// Whether an origin is a variable's name; a file's origin never starts so.
pub(super) fn is_variable(origin: &str) -> bool {
    origin.starts_with(PREFIX)
}

fn refuse_twin(name: &str, twin: &str) -> Result<()> {
    if !name.starts_with(PREFIX) || name == twin {
        return Ok(());
    }
    Err(Error::config("two environment variables set the same key").with("one", name).with("other", twin))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use super::*;

    fn read(names: &[&str]) -> Result<Environment> {
        Environment::read(names.iter().map(|name| ((*name).to_owned(), "value".to_owned())))
    }

    fn check_refused(names: &[&str], part: &str) {
        let message = read(names).err().expect("it must be refused").to_string();
        assert!(message.contains(part) && names.iter().all(|name| message.contains(name)), "{message}");
    }

    #[test]
    fn sorts_variables() {
        let names = ["HOME", "PYNENC__FILEPATH", "PYNENC__APP_ID", "PYNENC__REDIS__REDIS_HOST", "PYNENC_APP_ID"];
        let environment = read(&names).unwrap();
        assert_eq!(environment.file.as_deref(), Some("value"));
        assert_eq!(environment.near, ["PYNENC_APP_ID"]);
        let mut keys: Vec<_> = environment.layer.0.keys().collect();
        keys.sort();
        assert_eq!(keys, ["app_id", "redis"]);
        assert!(environment.odd.is_empty());
    }

    #[test]
    fn a_name_with_an_empty_part_is_odd() {
        for name in ["PYNENC__", "PYNENC____APP_ID", "PYNENC__REDIS__", "PYNENC__TASK__"] {
            let odd = read(&[name]).unwrap().odd;
            assert_eq!(odd.len(), 1, "{name}");
            assert!(odd[0].to_string().contains(name));
        }
    }

    #[test]
    fn refuses_what_contradicts_itself() {
        check_refused(&["PYNENC__REDIS", "PYNENC__REDIS__HOST"], "`redis` is given both a value and keys");
        check_refused(&["PYNENC__REDIS__HOST", "PYNENC__REDIS"], "`redis` is given both a value and keys");
        check_refused(&["PYNENC__APP_ID", "PYNENC__app_id"], "set the same key");
        assert!(read(&["other", "OTHER"]).is_ok());
    }
}
