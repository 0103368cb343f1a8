//! The error type of all components.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// The result of a component's method.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an error, by which callers decide what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store can't be reached or refuses requests for now. The same call may succeed later.
    Unavailable,
    /// The store has no room for new work.
    StoreFull,
    /// A setting is wrong and has to be changed by a person.
    Config,
    /// The caller's input is wrong. The same call fails again.
    Invalid,
    /// A value is larger than the limit.
    TooLarge,
    /// The requested item doesn't exist.
    NotFound,
    /// Stored data can't be decoded.
    Corrupt,
    /// The runner was retired: its lease expired, and its invocations went to other runners.
    Retired,
    /// The caller's epoch may not write any more, because a newer owner has raised the fence.
    Fenced,
    /// The wait would close a cycle of invocations that wait for each other.
    WaitCycle,
    /// An error of no other kind.
    Unexpected,
}

impl ErrorKind {
    /// The name of the kind, such as the label of a metric.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::StoreFull => "store_full",
            Self::Config => "config",
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
            Self::NotFound => "not_found",
            Self::Corrupt => "corrupt",
            Self::Retired => "retired",
            Self::Fenced => "fenced",
            Self::WaitCycle => "wait_cycle",
            Self::Unexpected => "unexpected",
        }
    }
}

/// An error with a kind, a message, context values and a source.
pub struct Error {
    kind: ErrorKind,
    message: Cow<'static, str>,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates an error. By convention, messages start in lower case and have no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), context: Vec::new(), source: None }
    }

    /// Creates an [`ErrorKind::Unavailable`] error.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// Creates an [`ErrorKind::Config`] error.
    pub fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// Creates an [`ErrorKind::Invalid`] error.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Creates an [`ErrorKind::Corrupt`] error.
    pub fn corrupt(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// Adds a context value, which is shown behind the message as `key: value`.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.context.push((key, value.to_string()));
        self
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Copies the error for another caller. The copy keeps its source only as text.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let mut copy = Self::new(self.kind, self.message.clone());
        copy.context.clone_from(&self.context);
        copy.source = self.source.as_ref().map(|source| source.to_string().into());
        copy
    }

    /// Returns the kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the message without context values and source.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the context values that [`Error::with`] added.
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.context
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::StoreFull)
    }

    /// Whether the store causes the error and not the caller's input.
    ///
    /// The same call may succeed later, or after a person has corrected a setting or the store's permissions.
    pub fn blames_store(&self) -> bool {
        self.is_retryable() || self.kind == ErrorKind::Config
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (i, (key, value)) in self.context.iter().enumerate() {
            write!(f, "{}{key}: {value}", if i == 0 { " (" } else { ", " })?;
        }
        if !self.context.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)?;
        let mut source = self.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_shows_context_and_debug_adds_sources() {
        let error = Error::unavailable("can't reach the store").with("host", "localhost").caused_by("refused");
        assert_eq!(error.to_string(), "can't reach the store (host: localhost)");
        assert_eq!(format!("{error:?}"), "Unavailable: can't reach the store (host: localhost): refused");
        assert!(error.is_retryable());
    }
}
