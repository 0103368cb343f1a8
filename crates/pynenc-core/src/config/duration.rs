//! Reads and writes durations as text such as `"1m 30s"`, or as a bare number of seconds.
//!
//! ```
//! use std::time::Duration;
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Limits {
//!     #[serde(with = "pynenc_core::config::duration")]
//!     wait: Duration,
//! }
//!
//! let limits: Limits = serde_json::from_str(r#"{"wait": "1m 30s"}"#)?;
//! assert_eq!(limits.wait, Duration::from_secs(90));
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Visitor};
use serde::ser::Serializer;

const EXPECTED: &str = "a duration such as \"1m 30s\" or \"250ms\", or a number of seconds";

/// Serializes a duration as text.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

/// Deserializes a duration from text or from a number of seconds.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(DurationVisitor)
}

/// Parses `"5s"`, `"1m 30s"`, `"250ms"`, or a bare number of seconds such as `"2.5"`.
///
/// # Errors
///
/// A message if the text isn't a duration, is negative or is too large.
pub fn parse(text: &str) -> Result<Duration, String> {
    match text.trim().parse::<f64>() {
        Ok(seconds) => from_seconds(seconds),
        Err(_) => humantime::parse_duration(text.trim()).map_err(|error| error.to_string()),
    }
}

/// Formats a duration as it is written in settings.
pub fn text(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// The same for an optional duration. An empty text and `"none"` mean no duration.
pub mod option {
    use std::time::Duration;

    use serde::Serialize;
    use serde::de::{Deserialize, Deserializer};
    use serde::ser::Serializer;

    /// Serializes an optional duration as text.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        duration.map(super::text).serialize(serializer)
    }

    /// Deserializes an optional duration from text, from a number of seconds, or from nothing.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<DurationOrNone>::deserialize(deserializer)?.and_then(|value| value.0))
    }

    /// A duration, or the text `"none"`.
    struct DurationOrNone(Option<Duration>);

    impl<'de> Deserialize<'de> for DurationOrNone {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(super::OptionVisitor).map(Self)
        }
    }
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Duration, E> {
        parse(text).map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<Duration, E> {
        Ok(Duration::from_secs(seconds))
    }

    fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<Duration, E> {
        let seconds =
            u64::try_from(seconds).map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(seconds), &self))?;
        Ok(Duration::from_secs(seconds))
    }

    fn visit_f64<E: serde::de::Error>(self, seconds: f64) -> Result<Duration, E> {
        from_seconds(seconds).map_err(|_| E::invalid_value(serde::de::Unexpected::Float(seconds), &self))
    }
}

struct OptionVisitor;

impl Visitor<'_> for OptionVisitor {
    type Value = Option<Duration>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{EXPECTED}, or \"none\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let absent = text.trim().is_empty() || text.trim().eq_ignore_ascii_case("none");
        if absent { Ok(None) } else { DurationVisitor.visit_str(text).map(Some) }
    }

    fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<Self::Value, E> {
        DurationVisitor.visit_u64(seconds).map(Some)
    }

    fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<Self::Value, E> {
        DurationVisitor.visit_i64(seconds).map(Some)
    }

    fn visit_f64<E: serde::de::Error>(self, seconds: f64) -> Result<Self::Value, E> {
        DurationVisitor.visit_f64(seconds).map(Some)
    }
}

fn from_seconds(seconds: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("`{seconds}` seconds is negative or too large"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    struct Waits {
        #[serde(with = "super")]
        wait: Duration,
        #[serde(with = "super::option")]
        most: Option<Duration>,
    }

    fn check(wait: &str, expected: Option<Duration>) {
        let text = format!(r#"{{"wait": {wait}, "most": {wait}}}"#);
        let read = serde_json::from_str::<Waits>(&text);
        match (read, expected) {
            (Ok(waits), Some(expected)) => assert_eq!((waits.wait, waits.most), (expected, Some(expected)), "{wait}"),
            (Err(_), None) => {}
            (read, expected) => panic!("{wait}: {read:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn texts_and_numbers_of_seconds_are_durations() {
        check(r#""5s""#, Some(Duration::from_secs(5)));
        check(r#""1m 30s""#, Some(Duration::from_secs(90)));
        check(r#"" 250ms ""#, Some(Duration::from_millis(250)));
        check(r#""2.5""#, Some(Duration::from_millis(2500)));
        check("2.5", Some(Duration::from_millis(2500)));
        check("0", Some(Duration::ZERO));
        check("7", Some(Duration::from_secs(7)));
        check("-7", None);
        check("-0.5", None);
        check("1e300", None);
        check("true", None);
        check("[]", None);
        for text in ["", "soon", "-1", "nan", "inf", "-inf", "1e300", "5 parsecs", "99999999999999999999y"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_optional_duration_can_be_none() {
        for most in ["null", r#""none""#, r#""""#] {
            let waits: Waits = serde_json::from_str(&format!(r#"{{"wait": 1, "most": {most}}}"#)).unwrap();
            assert_eq!(waits.most, None, "{most}");
            assert_eq!(serde_json::to_value(&waits).unwrap()["most"], serde_json::Value::Null);
        }
    }

    proptest! {
        #[test]
        fn any_duration_survives_a_round_trip(seconds: u64, nanos in 0_u32..1_000_000_000) {
            let wait = Duration::new(seconds, nanos);
            let text = serde_json::to_string(&Waits { wait, most: Some(wait) }).unwrap();
            let read: Waits = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read.wait, wait);
            prop_assert_eq!(read.most, Some(wait));
        }

        #[test]
        fn a_number_is_seconds(seconds in 0_u32..) {
            prop_assert_eq!(parse(&seconds.to_string()), Ok(Duration::from_secs(u64::from(seconds))));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = parse(&text);
        }
    }
}
