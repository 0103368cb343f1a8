//! The settings of one source, and the merge of several sources.

use std::fmt;
use std::time::Duration;

use config::builder::{ConfigBuilder, DefaultState};
use config::{ConfigError, Map, Source, Value as Sourced, ValueKind};
use serde::Serialize;

use super::origin::{DEFAULT, origin, with_origin};
use crate::error::{Error, Result};

/// The most parts of a setting's name. Nested tables are walked recursively, so the limit protects the stack.
const MAX_PARTS: usize = 32;

/// The settings of one source, as a tree of tables.
#[derive(Clone, Default)]
pub(super) struct Layer(pub(super) Map<String, Sourced>);

impl Layer {
    /// Creates a layer from settings as JSON.
    pub(super) fn defaults(defaults: serde_json::Value) -> Result<Self> {
        match from_json(defaults) {
            ValueKind::Table(table) => Ok(Self(table)),
            _ => Err(not_a_table()),
        }
    }

    /// Sets the value at the end of `path`. The other parts of the path become tables.
    pub(super) fn insert(&mut self, path: &[&str], origin: &str, kind: ValueKind) -> Result<()> {
        if path.len() > MAX_PARTS {
            let message = format!("the name of a setting can't have more than {MAX_PARTS} parts");
            return Err(Error::config(message).with("source", shortened(origin)).with("parts", path.len()));
        }
        let (last, tables) = path.split_last().expect("a path has at least one part");
        let mut table = &mut self.0;
        for name in tables {
            let entry =
                table.entry((*name).to_owned()).or_insert_with(|| with_origin(origin, Map::<_, Sourced>::new()));
            let taken = entry.origin().map(str::to_owned);
            let ValueKind::Table(inner) = &mut entry.kind else {
                return Err(value_and_table(name, origin, taken.as_deref()));
            };
            table = inner;
        }
        insert_value(table, last, with_origin(origin, kind))
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").finish_non_exhaustive() // a value may be a secret
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    /// Returns the tree under one name, because the `config` crate splits top-level names at their dots.
    fn collect(&self) -> Result<Map<String, Sourced>, ConfigError> {
        Ok(Map::from_iter([(ROOT.to_owned(), Sourced::new(None, self.0.clone()))]))
    }
}

const ROOT: &str = "root";

/// Cuts a long name to a readable length.
fn shortened(name: &str) -> &str {
    name.char_indices().nth(80).map_or(name, |(end, _)| &name[..end])
}

/// Merges layers; a later one overrides the earlier ones.
pub(super) fn merge(layers: impl IntoIterator<Item = Layer>) -> Result<Map<String, Sourced>> {
    let start = ConfigBuilder::<DefaultState>::default();
    let merged = layers.into_iter().fold(start, ConfigBuilder::<DefaultState>::add_source).build();
    merged.and_then(|merged| merged.get_table(ROOT)).map_err(|error| {
        Error::config("can't merge the settings of the file, the code and the environment").caused_by(error)
    })
}

/// Fails if a name is a value in one layer and a table in another.
pub(super) fn refuse_mixed(layers: &[Layer]) -> Result<()> {
    let entries = || layers.iter().flat_map(|layer| &layer.0);
    for (name, table) in entries().filter(|(_, value)| is_table(value)) {
        let clash = entries().find(|(other, value)| *other == name && !is_table(value) && value.kind != ValueKind::Nil);
        if let Some((_, value)) = clash {
            return Err(value_and_table(name, &origin(table), value.origin()));
        }
    }
    Ok(())
}

pub(super) fn is_table(value: &Sourced) -> bool {
    matches!(value.kind, ValueKind::Table(_))
}

/// A value that code sets.
#[derive(Clone)]
pub struct Value(pub(super) ValueKind);

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(***)") // the value may be a secret
    }
}

macro_rules! value_from {
    ($($from:ty => $to:ty),*) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self(ValueKind::from(<$to>::from(value)))
            }
        })*
    };
}

value_from! {
    bool => bool, &str => String, String => String, f64 => f64,
    i32 => i64, i64 => i64, u8 => u64, u16 => u64, u32 => u64, u64 => u64
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self(ValueKind::U64(value as u64))
    }
}

impl From<Duration> for Value {
    fn from(value: Duration) -> Self {
        Self(ValueKind::String(humantime::format_duration(value).to_string()))
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self(ValueKind::Array(items.into_iter().map(|item| Sourced::new(None, item.into().0)).collect()))
    }
}

impl<T: Into<Value>, const N: usize> From<[T; N]> for Value {
    fn from(items: [T; N]) -> Self {
        Vec::from(items).into()
    }
}

fn insert_value(table: &mut Map<String, Sourced>, name: &str, value: Sourced) -> Result<()> {
    match table.get(name) {
        Some(taken) if is_table(taken) => Err(value_and_table(name, &origin(taken), value.origin())),
        _ => {
            table.insert(name.to_owned(), value);
            Ok(())
        }
    }
}

fn value_and_table(name: &str, table: &str, value: Option<&str>) -> Error {
    Error::config(format!("`{name}` is set both to a value and as a section with keys: remove one of the two"))
        .with("value from", value.unwrap_or(DEFAULT))
        .with("keys from", table)
}

/// Returns the settings of a section as JSON. The functions that read them are compiled once and not for each section.
pub(super) fn as_json(settings: &impl Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(settings).map_err(|error| not_a_table().caused_by(error))
}

fn not_a_table() -> Error {
    Error::config("a section of settings must serialize as a table")
}

fn from_json(json: serde_json::Value) -> ValueKind {
    use serde_json::Value as Json;
    match json {
        Json::Null => ValueKind::Nil,
        Json::Bool(value) => ValueKind::Boolean(value),
        Json::Number(number) => from_number(&number),
        Json::String(text) => ValueKind::String(text),
        Json::Array(items) => {
            ValueKind::Array(items.into_iter().map(|item| Sourced::new(None, from_json(item))).collect())
        }
        Json::Object(entries) => ValueKind::Table(
            entries.into_iter().map(|(key, item)| (key, Sourced::new(None, from_json(item)))).collect(),
        ),
    }
}

fn from_number(number: &serde_json::Number) -> ValueKind {
    let whole = number.as_i64().map(ValueKind::I64).or_else(|| number.as_u64().map(ValueKind::U64));
    whole.unwrap_or_else(|| ValueKind::Float(number.as_f64().expect("a JSON number that isn't whole is a float")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use super::*;

    fn layer(origin: &str, entries: &[(&[&str], i64)]) -> Layer {
        let mut layer = Layer::default();
        for (path, value) in entries {
            layer.insert(path, origin, ValueKind::I64(*value)).unwrap();
        }
        layer
    }

    #[test]
    fn a_later_layer_overrides_single_keys() {
        let low = layer("low", &[(&["a"], 1), (&["s", "x"], 1), (&["s", "y"], 1), (&["dotted.key"], 1)]);
        let high = layer("high", &[(&["a"], 2), (&["s", "y"], 2)]);
        let merged = merge([low, high]).unwrap();
        let section = merged["s"].clone().into_table().unwrap();
        let found = [&merged["a"], &section["x"], &section["y"], &merged["dotted.key"]].map(origin);
        assert_eq!(found, ["high", "low", "high", "low"]);
    }

    #[test]
    fn a_name_cannot_be_both_a_value_and_a_table() {
        for paths in [[&["s"][..], &["s", "x"]], [&["s", "x"], &["s"]]] {
            let mut layer = Layer::default();
            layer.insert(paths[0], "one", ValueKind::I64(1)).unwrap();
            let message = layer.insert(paths[1], "two", ValueKind::I64(1)).unwrap_err().to_string();
            assert!(message.contains("`s` is set both") && message.contains("one") && message.contains("two"));
        }
        let mixed = [layer("low", &[(&["s"], 1)]), layer("high", &[(&["s", "x"], 1)])];
        let message = refuse_mixed(&mixed).unwrap_err().to_string();
        assert!(message.contains("low") && message.contains("high"), "{message}");
    }

    #[test]
    fn code_can_set_values_of_many_types() {
        let seconds = Value::from(Duration::from_secs(90));
        assert_eq!(seconds.0, ValueKind::String("1m 30s".into()));
        assert_eq!(Value::from(["a", "b"]).0, ValueKind::from(vec!["a", "b"]));
        assert_eq!(format!("{:?}", Value::from("hunter2")), "Value(***)");
    }
}
