//! The origin of a value: a text that is kept with each value and shown to users.

use config::{Value, ValueKind};

/// The beginning of the name of each environment variable that is a setting.
pub(super) const PREFIX: &str = "PYNENC__";
/// The origin of the defaults.
pub(super) const DEFAULT: &str = "default";
/// The origin of values that code sets.
pub(super) const BUILDER: &str = "builder";
/// The origin of values from the command line.
pub(super) const COMMAND_LINE: &str = "command line";

/// Whether values of this origin are text, whatever type the setting has.
///
/// Only the names of variables start with [`PREFIX`]: the origin of a file never does.
pub(super) fn is_untyped(origin: &str) -> bool {
    origin.starts_with(PREFIX) || origin == COMMAND_LINE
}

/// Returns the origin of a value; for a table, the origin of its first setting.
pub(super) fn origin(value: &Value) -> String {
    match &value.kind {
        ValueKind::Table(table) if !table.is_empty() => {
            table.iter().min_by_key(|(key, _)| *key).map_or_else(String::new, |(_, value)| origin(value))
        }
        _ => value.origin().unwrap_or(DEFAULT).to_owned(),
    }
}

/// Creates a value with its origin.
pub(super) fn with_origin(origin: &str, kind: impl Into<ValueKind>) -> Value {
    Value::new(Some(&origin.to_owned()), kind)
}

/// Sets the origin of a value and of all values within it.
pub(super) fn set_origin(value: Value, origin: &str) -> Value {
    let kind = match value.kind {
        ValueKind::Table(table) => {
            ValueKind::Table(table.into_iter().map(|(key, value)| (key, set_origin(value, origin))).collect())
        }
        ValueKind::Array(items) => ValueKind::Array(items.into_iter().map(|item| set_origin(item, origin)).collect()),
        kind => kind,
    };
    with_origin(origin, kind)
}
