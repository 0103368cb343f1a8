//! Concurrency control: the invocations of a task that share one limit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::argument_names::{Names, owned};
use super::call_syntax;

/// The invocations of a task that share one concurrency limit.
///
/// As text: `disabled`, `task`, `arguments`, `keys(a, b)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Concurrency<N = Vec<String>> {
    /// No limit.
    #[default]
    Disabled,
    /// All invocations of the task.
    Task,
    /// The invocations with the same arguments.
    Arguments,
    /// The invocations with the same values of these arguments.
    Keys(N),
}

impl Concurrency {
    /// Returns the names of the arguments in the key.
    pub fn keys(&self) -> &[String] {
        match self {
            Self::Keys(keys) => keys,
            Self::Disabled | Self::Task | Self::Arguments => &[],
        }
    }
}

impl From<&Concurrency<Names>> for Concurrency {
    fn from(concurrency: &Concurrency<Names>) -> Self {
        match concurrency {
            Concurrency::Disabled => Self::Disabled,
            Concurrency::Task => Self::Task,
            Concurrency::Arguments => Self::Arguments,
            Concurrency::Keys(keys) => Self::Keys(owned(keys)),
        }
    }
}

impl fmt::Display for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("disabled"),
            Self::Task => f.write_str("task"),
            Self::Arguments => f.write_str("arguments"),
            Self::Keys(keys) => write!(f, "keys({})", keys.join(", ")),
        }
    }
}

impl FromStr for Concurrency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (call_syntax::parse(text), text.trim().to_ascii_lowercase().as_str()) {
            (_, "disabled") => Ok(Self::Disabled),
            (_, "task") => Ok(Self::Task),
            (_, "arguments") => Ok(Self::Arguments),
            (Some((name, keys)), _) if name == "keys" => Self::of(keys.into_iter().map(str::to_owned).collect()),
            _ => Err(format!("`{text}` isn't a concurrency key: use disabled, task, arguments or keys(a, b)")),
        }
    }
}

impl Concurrency {
    fn of(keys: Vec<String>) -> Result<Self, String> {
        if keys.is_empty() || keys.iter().any(String::is_empty) {
            return Err("keys(..) must name at least one argument, and no empty name".into());
        }
        Ok(Self::Keys(keys))
    }
}

impl Serialize for Concurrency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Concurrency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = match ConcurrencyForm::deserialize(deserializer)? {
            ConcurrencyForm::Text(text) => text.parse(),
            ConcurrencyForm::Table { keys } => Self::of(keys),
        };
        read.map_err(serde::de::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected \"disabled\", \"task\", \"arguments\", \"keys(a, b)\" or { keys = [\"a\"] }")]
enum ConcurrencyForm {
    Text(String),
    Table { keys: Vec<String> },
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use super::*;

    fn check_concurrency(text: &str, expected: Option<&str>) {
        let read = text.parse::<Concurrency>().ok().map(|concurrency| concurrency.to_string());
        assert_eq!(read.as_deref(), expected, "{text}");
    }

    #[test]
    fn concurrency_is_parsed_from_text() {
        check_concurrency("disabled", Some("disabled"));
        check_concurrency(" TASK ", Some("task"));
        check_concurrency("arguments", Some("arguments"));
        check_concurrency("keys(a,b )", Some("keys(a, b)"));
        check_concurrency("Keys( a )", Some("keys(a)"));
        for refused in ["", "keys", "keys()", "keys(a", "keys(a,)", "tasks", "task()"] {
            check_concurrency(refused, None);
        }
        let table: Concurrency = serde_json::from_str(r#"{"keys": ["a"]}"#).unwrap();
        assert_eq!(table, Concurrency::Keys(vec!["a".into()]));
    }
}
