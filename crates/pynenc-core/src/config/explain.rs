//! Every setting with its value and where it came from.

use config::{Map, Value as Sourced, ValueKind};
use serde::Serialize;
use serde_json::Value as Json;

use super::report::full_key;
use crate::error::{Error, Result};

const MASK: &str = "***";

/// A setting, its value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Setting {
    /// The full key, such as `runner.concurrency`.
    pub key: String,
    /// The value as text; `***` if it is a secret, `none` if there is none.
    pub value: String,
    /// `default`, the file's path, `builder`, the variable's name, or `command line`.
    pub source: String,
}

/// The settings of a section that was read as `values`, with their origins in `sources`.
pub(super) fn settings(
    name: &str,
    secrets: &[&str],
    values: &impl Serialize,
    sources: &Map<String, Sourced>,
) -> Result<Vec<Setting>> {
    let json = serde_json::to_value(values)
        .map_err(|error| Error::config("a section can't be shown").with("section", name).caused_by(error))?;
    let mut settings = Vec::new();
    for (key, value) in json.as_object().into_iter().flatten() {
        let secret = secrets.contains(&key.as_str());
        collect(&full_key(name, key), value, sources.get(key), secret, &mut settings);
    }
    Ok(settings)
}

/// A setting as its layer gives it.
pub(super) fn given(key: String, value: &Sourced) -> Setting {
    Setting { key, value: as_given(value), source: source(Some(value)) }
}

fn collect(key: &str, value: &Json, given: Option<&Sourced>, secret: bool, settings: &mut Vec<Setting>) {
    match value {
        Json::Object(entries) if !entries.is_empty() && !secret => {
            for (name, value) in entries {
                collect(&full_key(key, name), value, entry(given, name), secret, settings);
            }
        }
        _ => settings.push(Setting { key: key.to_owned(), value: shown(value, secret), source: source(given) }),
    }
}

fn entry<'a>(table: Option<&'a Sourced>, name: &str) -> Option<&'a Sourced> {
    match &table?.kind {
        ValueKind::Table(entries) => entries.get(name),
        _ => table,
    }
}

fn source(value: Option<&Sourced>) -> String {
    value.map_or_else(|| "default".to_owned(), super::layer::origin)
}

fn shown(value: &Json, secret: bool) -> String {
    match value {
        Json::Null => "none".to_owned(),
        _ if secret => MASK.to_owned(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn as_given(value: &Sourced) -> String {
    match &value.kind {
        ValueKind::Array(items) => format!("[{}]", items.iter().map(as_given).collect::<Vec<_>>().join(", ")),
        ValueKind::Table(_) => "a table".to_owned(),
        _ => value.clone().into_string().unwrap_or_else(|_| "none".to_owned()),
    }
}
