//! Settings as they are shown to people: key, value and origin.

use config::{Map, Value as Sourced, ValueKind};
use serde::Serialize;
use serde_json::Value as Json;

use super::origin::{DEFAULT, origin};
use super::unknown_settings::full_key;

const MASK: &str = "***";

/// A setting with its value and its origin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Setting {
    /// The full key, such as `runner.concurrency`.
    pub key: String,
    /// The value as text; `***` for a secret, `none` without a value.
    pub value: String,
    /// The origin: `default`, the file's path, `builder`, the variable's name, or `command line`.
    pub source: String,
}

/// Lists the settings of a section that was read as `values`. `sources` has the origin of each.
pub(super) fn settings(name: &str, secrets: &[&str], values: &Json, sources: &Map<String, Sourced>) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (key, value) in values.as_object().into_iter().flatten() {
        let secret = secrets.contains(&key.as_str());
        collect(&full_key(name, key), value, sources.get(key), secret, &mut settings);
    }
    settings
}

/// Creates a setting from a value as it is set in its layer.
pub(super) fn as_set(key: String, value: &Sourced) -> Setting {
    Setting { key, value: value_text(value), source: source(Some(value)) }
}

fn collect(key: &str, value: &Json, sourced: Option<&Sourced>, secret: bool, settings: &mut Vec<Setting>) {
    match value {
        Json::Object(entries) if !entries.is_empty() && !secret => {
            for (name, value) in entries {
                collect(&full_key(key, name), value, entry(sourced, name), secret, settings);
            }
        }
        _ => settings.push(Setting { key: key.to_owned(), value: shown(value, secret), source: source(sourced) }),
    }
}

fn entry<'a>(table: Option<&'a Sourced>, name: &str) -> Option<&'a Sourced> {
    match &table?.kind {
        ValueKind::Table(entries) => entries.get(name),
        _ => table,
    }
}

fn source(value: Option<&Sourced>) -> String {
    value.map_or_else(|| DEFAULT.to_owned(), origin)
}

fn shown(value: &Json, secret: bool) -> String {
    match value {
        Json::Null => "none".to_owned(),
        _ if secret => MASK.to_owned(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn value_text(value: &Sourced) -> String {
    match &value.kind {
        ValueKind::Array(items) => format!("[{}]", items.iter().map(value_text).collect::<Vec<_>>().join(", ")),
        ValueKind::Table(_) => "a table".to_owned(),
        _ => value.clone().into_string().unwrap_or_else(|_| "none".to_owned()),
    }
}
