//! Reads merged values into a type. Text is converted only if it comes from the environment or the command line.

use std::borrow::Cow;
use std::fmt;

use config::{Map, Value, ValueKind};
use serde::de::value::MapAccessDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::origin::{DEFAULT, is_untyped, origin};
use super::unknown_settings::{self, UnknownSetting, full_key};
use crate::error::{Error, Result};
use crate::suggestions::did_you_mean;

/// Reads a `T` from `table`. An error names the key with its `section` and hides the values of `secrets`.
pub(super) fn read<T: DeserializeOwned>(section: &str, secrets: &[&str], table: Map<String, Value>) -> Result<T> {
    let value = Value::new(None, table);
    T::deserialize(Reader { value: &value }).map_err(|error| error.into_error(section, secrets))
}

/// Deserializes one value, converted to the type that the caller requests.
struct Reader<'a> {
    value: &'a Value,
}

impl<'a> Reader<'a> {
    /// Returns the text of an environment variable or of the command line. Such text has no type yet.
    fn untyped_text(&self) -> Option<&'a str> {
        match &self.value.kind {
            ValueKind::String(text) if self.value.origin().is_some_and(is_untyped) => Some(text),
            _ => None,
        }
    }

    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let Some(text) = self.untyped_text() else { return self.deserialize_any(visitor) };
        if let Ok(number) = text.trim().parse::<i64>() {
            return visitor.visit_i64(number);
        }
        match text.trim().parse::<u64>() {
            Ok(number) => visitor.visit_u64(number),
            Err(_) => Err(ReadError::invalid_value(Unexpected::Str(text), &visitor)),
        }
    }

    fn float<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let Some(text) = self.untyped_text() else { return self.deserialize_any(visitor) };
        match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => visitor.visit_f64(number),
            _ => Err(ReadError::invalid_value(Unexpected::Str(text), &"a number")),
        }
    }

    fn list<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.untyped_text() {
            Some(text) => visitor.visit_seq(Items { items: split(text, self.value).iter().enumerate() }),
            None => self.deserialize_any(visitor),
        }
    }
}

macro_rules! read_as {
    ($($name:ident)* => $method:ident) => {
        $(fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            self.$method(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.value.kind {
            ValueKind::Nil => visitor.visit_unit(),
            ValueKind::Boolean(value) => visitor.visit_bool(*value),
            ValueKind::I64(value) => visitor.visit_i64(*value),
            ValueKind::I128(value) => visitor.visit_i128(*value),
            ValueKind::U64(value) => visitor.visit_u64(*value),
            ValueKind::U128(value) => visitor.visit_u128(*value),
            ValueKind::Float(value) => visitor.visit_f64(*value),
            ValueKind::String(text) => visitor.visit_str(text),
            ValueKind::Table(table) => visitor.visit_map(Entries::new(table)),
            ValueKind::Array(items) => visitor.visit_seq(Items { items: items.iter().enumerate() }),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let Some(text) = self.untyped_text() else { return self.deserialize_any(visitor) };
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => visitor.visit_bool(true),
            "false" | "0" | "no" | "off" => visitor.visit_bool(false),
            _ => Err(ReadError::invalid_value(Unexpected::Str(text), &"true, yes, on, 1, false, no, off or 0")),
        }
    }

    read_as!(deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 => number);
    read_as!(deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 => number);
    read_as!(deserialize_f32 deserialize_f64 => float);
    read_as!(deserialize_seq => list);

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.list(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let absent = self.value.kind == ValueKind::Nil || self.untyped_text() == Some("");
        if absent { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if let ValueKind::Table(table) = &self.value.kind {
            refuse_unknown(table, fields)?;
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match (&self.value.kind, self.untyped_text()) {
            (_, Some(text)) => visitor.visit_enum(matching_variant(text, variants).into_deserializer()),
            (ValueKind::String(text), None) => visitor.visit_enum(text.as_str().into_deserializer()),
            (ValueKind::Table(table), None) => visitor.visit_enum(MapAccessDeserializer::new(Entries::new(table))),
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct tuple_struct map identifier ignored_any
    }
}

/// The entries of a table, sorted by their keys so that the same mistake always gives the same error.
struct Entries<'a> {
    entries: std::vec::IntoIter<(&'a String, &'a Value)>,
    value: Option<(&'a str, &'a Value)>,
}

impl<'a> Entries<'a> {
    fn new(table: &'a Map<String, Value>) -> Self {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| *key);
        Self { entries: entries.into_iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some((key, value));
        seed.deserialize(key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let (key, value) = self.value.take().expect("serde reads a value after its key");
        seed.deserialize(Reader { value }).map_err(|error| error.below(key.to_owned(), value))
    }
}

struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Some((index, value)) = self.items.next() else { return Ok(None) };
        seed.deserialize(Reader { value }).map(Some).map_err(|error| error.below(format!("[{index}]"), value))
    }
}

/// The problem of a value that can't be read, with the value's key and origin.
#[derive(Debug)]
struct ReadError {
    /// The parts of the key, the innermost first.
    path: Vec<String>,
    origin: Option<String>,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    Mismatch { found: String, expected: String },
    Unknown(Vec<UnknownSetting>),
    Refused(String),
}

impl ReadError {
    fn new(problem: Problem) -> Self {
        Self { path: Vec::new(), origin: None, problem }
    }

    fn mismatch(found: impl fmt::Display, expected: impl fmt::Display) -> Self {
        let expected = type_for_people(&expected.to_string()).into_owned();
        Self::new(Problem::Mismatch { found: found.to_string(), expected })
    }

    /// Adds the key of the enclosing value. The origin stays that of the innermost value.
    fn below(mut self, key: String, value: &Value) -> Self {
        self.path.push(key);
        self.origin = self.origin.or_else(|| Some(origin(value)));
        self
    }

    fn into_error(self, section: &str, secrets: &[&str]) -> Error {
        let secret = self.path.last().is_some_and(|key| secrets.contains(&key.as_str()));
        let path: Vec<String> = self.path.into_iter().rev().collect();
        let key = full_key(section, &path.join("."));
        if let Problem::Unknown(unknown) = self.problem {
            let in_section = |setting: UnknownSetting| UnknownSetting { key: full_key(&key, &setting.key), ..setting };
            return unknown_settings::error(&unknown.into_iter().map(in_section).collect::<Vec<_>>());
        }
        let error = Error::config(format!("the setting `{key}` has an invalid value"))
            .with("source", self.origin.as_deref().unwrap_or(DEFAULT));
        add_problem(error, self.problem, secret)
    }
}

impl serde::de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Problem::Refused(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(found, expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(found, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let advice = did_you_mean(variant, expected.iter().copied());
        let advice = advice.map(|question| format!("; {question}")).unwrap_or_default();
        Self::mismatch(format!("`{variant}`{advice}"), format!("one of {}", expected.join(", ")))
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a setting has an invalid value") // only `into_error` shows the problem: it knows the secrets
    }
}

impl std::error::Error for ReadError {}

fn add_problem(error: Error, problem: Problem, secret: bool) -> Error {
    match problem {
        Problem::Mismatch { expected, .. } if secret => error.with("expected", expected).with("found", "***"),
        Problem::Mismatch { expected, found } => error.with("expected", expected).with("found", found),
        Problem::Refused(_) if secret => error.with("problem", "the value isn't accepted"),
        Problem::Refused(message) => error.with("problem", message),
        Problem::Unknown(_) => error,
    }
}

fn refuse_unknown(table: &Map<String, Value>, known: &[&str]) -> Result<(), ReadError> {
    let mut unknown: Vec<_> = table
        .iter()
        .filter(|(key, _)| !known.contains(&key.as_str()))
        .map(|(key, value)| UnknownSetting::new("", key, &origin(value), known.iter().copied()))
        .collect();
    unknown.sort();
    if unknown.is_empty() { Ok(()) } else { Err(ReadError::new(Problem::Unknown(unknown))) }
}

/// Splits a comma-separated text, or a JSON list of texts, into items. Each item has the origin of the whole text.
///
/// Lists are shown as JSON, so the reader accepts both forms.
fn split(text: &str, whole: &Value) -> Vec<Value> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let origin = whole.origin().map(str::to_owned);
    let items = serde_json::from_str::<Vec<String>>(text)
        .unwrap_or_else(|_| text.split(',').map(|item| item.trim().to_owned()).collect());
    items.into_iter().map(|item| Value::new(origin.as_ref(), item)).collect()
}

/// Returns the variant that `text` names, ignoring case, `-` and `_`.
fn matching_variant<'a>(text: &'a str, variants: &[&'a str]) -> &'a str {
    let plain = |name: &str| name.trim().replace(['-', '_'], "").to_ascii_lowercase();
    variants.iter().copied().find(|variant| plain(variant) == plain(text)).unwrap_or(text)
}

/// Describes in plain words the type that serde expected.
fn type_for_people(expected: &str) -> Cow<'_, str> {
    let whole = |max: u128| Cow::Owned(format!("a whole number from 0 to {max}"));
    match expected {
        "u8" => whole(u8::MAX.into()),
        "u16" => whole(u16::MAX.into()),
        "u32" => whole(u32::MAX.into()),
        "u64" => whole(u64::MAX.into()),
        "usize" => whole(usize::MAX as u128),
        "i8" | "i16" | "i32" | "i64" | "isize" => Cow::Owned(format!("a whole number ({expected})")),
        "f32" | "f64" => "a number".into(),
        "a sequence" => "a list".into(),
        "a boolean" => "true or false".into(),
        "a map" => "a table".into(),
        other if other.starts_with("struct ") => "a table".into(),
        other => other.into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::super::layer::Layer;
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "kebab-case")]
    enum Mode {
        FastPath,
        Slow,
        After(u8),
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Pool {
        size: u8,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Probe {
        flag: bool,
        count: u8,
        offset: i64,
        ratio: f64,
        password: String,
        pin: u16,
        names: Vec<String>,
        ports: Vec<u16>,
        mode: Option<Mode>,
        pool: Pool,
        labels: BTreeMap<String, u8>,
    }

    const VARIABLE: &str = "PYNENC__PROBE__X";

    fn probe(path: &[&str], origin: &str, kind: impl Into<ValueKind>) -> Result<Probe> {
        let mut layer = Layer::default();
        layer.insert(path, origin, kind.into())?;
        read("probe", &["password", "pin"], layer.0)
    }

    fn check(key: &str, text: &str, expected: &Probe) {
        assert_eq!(&probe(&[key], VARIABLE, text).unwrap(), expected, "{key}={text}");
    }

    #[track_caller]
    fn check_refused(key: &str, origin: &str, kind: impl Into<ValueKind>, parts: &[&str]) {
        let message = format!("{:?}", probe(&[key], origin, kind).unwrap_err());
        for part in parts.iter().chain([&key, &origin]) {
            assert!(message.contains(part), "`{part}` isn't in: {message}");
        }
        assert!(!message.contains("hunter2"), "{message}");
    }

    #[test]
    fn text_from_the_environment_is_converted_to_the_type_of_the_field() {
        check("flag", " Yes ", &Probe { flag: true, ..Probe::default() });
        check("count", " 7 ", &Probe { count: 7, ..Probe::default() });
        check("offset", "-7", &Probe { offset: -7, ..Probe::default() });
        check("ratio", "2", &Probe { ratio: 2.0, ..Probe::default() });
        check("names", " a , b", &Probe { names: vec!["a".into(), "b".into()], ..Probe::default() });
        check("names", r#"["a,b", " c"]"#, &Probe { names: vec!["a,b".into(), " c".into()], ..Probe::default() });
        check("names", "[a,b", &Probe { names: vec!["[a".into(), "b".into()], ..Probe::default() });
        check("names", "", &Probe::default());
        check("ports", "1,2", &Probe { ports: vec![1, 2], ..Probe::default() });
        for spelling in ["fast-path", "FAST_PATH", "FastPath"] {
            check("mode", spelling, &Probe { mode: Some(Mode::FastPath), ..Probe::default() });
        }
        check("mode", "", &Probe::default());
    }

    #[test]
    fn a_text_field_keeps_text_unchanged() {
        for text in ["1e5", "007", "true", " spaced ", "a,b", ""] {
            check("password", text, &Probe { password: text.into(), ..Probe::default() });
        }
    }

    #[test]
    fn tables_can_be_nested() {
        assert_eq!(probe(&["pool", "size"], VARIABLE, "3").unwrap().pool, Pool { size: 3 });
        assert_eq!(probe(&["labels", "a"], VARIABLE, "3").unwrap().labels["a"], 3);
        assert_eq!(probe(&["mode", "after"], "pynenc.toml", 3).unwrap().mode, Some(Mode::After(3)));
    }

    #[test]
    fn a_wrong_type_names_key_source_and_expected_type() {
        check_refused("flag", VARIABLE, "maybe", &["`probe.flag`", "true, yes, on", "\"maybe\""]);
        check_refused("flag", "pynenc.toml", "true", &["true or false"]);
        check_refused("count", VARIABLE, "2.7", &["a whole number from 0 to 255", "2.7"]);
        check_refused("count", "pynenc.toml", 2.7, &["a whole number from 0 to 255", "2.7"]);
        check_refused("count", "pynenc.toml", 300, &["a whole number from 0 to 255", "300"]);
        check_refused("count", "pynenc.toml", "7", &["a whole number", "\"7\""]);
        check_refused("ratio", VARIABLE, "NaN", &["a number"]);
        check_refused("names", "pynenc.toml", "a", &["a list"]);
        check_refused("ports", VARIABLE, "1, two", &["`probe.ports[1]`", "\"two\""]);
        check_refused("mode", VARIABLE, "sloww", &["one of fast-path, slow, after", "did you mean `slow`?"]);
        check_refused("mode", "pynenc.toml", "FAST_PATH", &["one of fast-path"]);
        check_refused("pool", VARIABLE, "3", &["a table"]);
    }

    #[test]
    fn a_secret_is_never_shown() {
        check_refused("pin", VARIABLE, "hunter2", &["a whole number", "***"]);
        check_refused("password", "pynenc.toml", vec!["hunter2"], &["a string", "***"]);
    }

    #[test]
    fn unknown_keys_are_reported_together_at_any_depth() {
        let mut layer = Layer::default();
        layer.insert(&["cuont"], "pynenc.toml", 1.into()).unwrap();
        layer.insert(&["ratoi"], VARIABLE, "1".into()).unwrap();
        let message = read::<Probe>("probe", &[], layer.0).unwrap_err().to_string();
        let expected = format!(
            "unknown settings: `probe.cuont` from pynenc.toml, did you mean `count`?; \
             `probe.ratoi` from {VARIABLE}, did you mean `ratio`?"
        );
        assert_eq!(message, expected);
        let nested = probe(&["pool", "sise"], "pynenc.toml", 1).unwrap_err().to_string();
        assert!(nested.contains("`probe.pool.sise` from pynenc.toml, did you mean `size`?"), "{nested}");
    }

    proptest! {
        #[test]
        fn booleans_are_eight_words_in_any_case(text in "[ ]?(?i:true|yes|on|false|no|off|maybe|t|0|1|2)") {
            let word = text.trim().to_lowercase();
            let expected = match word.as_str() {
                "true" | "yes" | "on" | "1" => Some(true),
                "false" | "no" | "off" | "0" => Some(false),
                _ => None,
            };
            let found = probe(&["flag"], VARIABLE, text.as_str()).ok().map(|probe| probe.flag);
            prop_assert_eq!(found, expected, "{}", text);
        }

        #[test]
        fn any_text_is_kept_unchanged(text: String) {
            prop_assert_eq!(probe(&["password"], VARIABLE, text.as_str()).unwrap().password, text);
        }
    }
}
