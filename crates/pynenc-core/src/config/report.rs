//! Names that nothing reads, told all at once with the nearest that something does.

use std::fmt;

use crate::error::{Error, Result};
use crate::names::did_you_mean;

/// A setting nothing reads, where it came from, and what may have been meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unknown {
    /// The full key, or the variable's name where it has no key.
    pub(super) key: String,
    pub(super) origin: String,
    pub(super) advice: String,
}

impl Unknown {
    /// A key that isn't among `known`; `section` is put before each name.
    pub(super) fn among<'a>(
        section: &str,
        key: &str,
        origin: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Self {
        Self { key: full_key(section, key), origin: origin.to_owned(), advice: advice(key, known) }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.key)?;
        if self.origin != self.key {
            write!(f, " from {}", self.origin)?;
        }
        write!(f, ", {}", self.advice)
    }
}

/// Fails with all of `unknown` in one error, if there are any.
pub(super) fn refuse(mut unknown: Vec<Unknown>) -> Result<()> {
    if unknown.is_empty() {
        return Ok(());
    }
    unknown.sort();
    unknown.dedup();
    Err(error(&unknown))
}

/// The error that lists `unknown`.
pub(super) fn error(unknown: &[Unknown]) -> Error {
    let list: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    let plural = if unknown.len() == 1 { "" } else { "s" };
    Error::config(format!("unknown setting{plural}: {}", list.join("; ")))
}

/// `did you mean ..?`, or the known names where none is near.
pub(crate) fn advice<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(question) = did_you_mean(name, known.clone()) {
        return question;
    }
    let mut names: Vec<&str> = known.into_iter().collect();
    names.sort_unstable();
    if names.is_empty() { "there are none".to_owned() } else { format!("the known ones are {}", names.join(", ")) }
}

/// `section.key`, or the key alone for the root.
pub(super) fn full_key(section: &str, key: &str) -> String {
    match (section, key) {
        ("", key) => key.to_owned(),
        (section, "") => section.to_owned(),
        (section, key) => format!("{section}.{key}").replace(".[", "["),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use super::*;

    fn check(name: &str, expected: &str) {
        assert_eq!(advice(name, ["concurrency", "queues", "max_retries"]), expected, "{name}");
    }

    #[test]
    fn advises_the_nearest_name_or_lists_all() {
        check("concurency", "did you mean `concurrency`?");
        check("max_retrys", "did you mean `max_retries`?");
        check("queue", "did you mean `queues`?");
        check("zzz", "the known ones are concurrency, max_retries, queues");
        assert_eq!(advice("x", []), "there are none");
    }

    #[test]
    fn one_error_lists_all() {
        let unknown = ["b", "a", "b"].map(|key| Unknown::among("runner", key, "pynenc.toml", ["queues"]));
        let message = refuse(unknown.to_vec()).unwrap_err().to_string();
        let each = |key| format!("`runner.{key}` from pynenc.toml, the known ones are queues");
        assert_eq!(message, format!("unknown settings: {}; {}", each("a"), each("b")));
        assert!(refuse(Vec::new()).is_ok());
    }
}
