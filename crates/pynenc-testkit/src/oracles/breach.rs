//! A broken promise.

use std::fmt;

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The promise's number, such as `I3`.
    pub oracle: &'static str,
    /// The promise.
    pub promise: &'static str,
    /// The observation that breaks the promise.
    pub found: String,
}

impl Breach {
    pub(super) fn new(oracle: &'static str, promise: &'static str, found: String) -> Self {
        Self { oracle, promise, found }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: not {}: {}", self.oracle, self.promise, self.found)
    }
}
