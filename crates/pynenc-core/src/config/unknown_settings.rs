//! Settings that nothing reads, collected into one error with suggestions.

use std::fmt;

use crate::error::{Error, Result};
use crate::suggestions::suggest_or_list;

/// A setting that nothing reads, its origin and a suggestion.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UnknownSetting {
    /// The full key, or the name of a variable that has no key.
    pub(super) key: String,
    pub(super) origin: String,
    pub(super) advice: String,
}

impl UnknownSetting {
    /// Creates the report of a key that isn't among `known` keys of `section`.
    pub(super) fn new<'a>(
        section: &str,
        key: &str,
        origin: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Self {
        Self { key: full_key(section, key), origin: origin.to_owned(), advice: suggest_or_list(key, known) }
    }
}

impl fmt::Display for UnknownSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.key)?;
        if self.origin != self.key {
            write!(f, " from {}", self.origin)?;
        }
        write!(f, ", {}", self.advice)
    }
}

/// Fails with one error for all of `unknown`, if there are any.
pub(super) fn refuse(mut unknown: Vec<UnknownSetting>) -> Result<()> {
    if unknown.is_empty() {
        return Ok(());
    }
    unknown.sort();
    unknown.dedup();
    Err(error(&unknown))
}

/// Creates the error that lists `unknown`.
pub(super) fn error(unknown: &[UnknownSetting]) -> Error {
    let list: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    let plural = if unknown.len() == 1 { "" } else { "s" };
    Error::config(format!("unknown setting{plural}: {}", list.join("; ")))
}

/// Joins a section's name and a key with a dot. The root section has no name.
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

    #[test]
    fn one_error_lists_all_unknown_settings() {
        let unknown = ["b", "a", "b"].map(|key| UnknownSetting::new("runner", key, "pynenc.toml", ["queues"]));
        let message = refuse(unknown.to_vec()).unwrap_err().to_string();
        let each = |key| format!("`runner.{key}` from pynenc.toml, known names: queues");
        assert_eq!(message, format!("unknown settings: {}; {}", each("a"), each("b")));
        assert!(refuse(Vec::new()).is_ok());
    }
}
