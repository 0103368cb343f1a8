//! The error every component answers with.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// The result of a component's method.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller has to decide by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store can't be reached or refuses for now; the same call may succeed later.
    Unavailable,
    /// The store has no room left for new work.
    StoreFull,
    /// A setting is wrong; only a person can mend it.
    Config,
    /// The caller's input is wrong; repeating it gives the same answer.
    Invalid,
    /// A value is larger than the limit.
    TooLarge,
    /// What was asked for doesn't exist.
    NotFound,
    /// What is stored can't be understood.
    Corrupt,
    /// The runner was retired: its lease ran out and its work was given to others.
    Retired,
    /// A newer owner has raised the fence; the caller's epoch may not write any more.
    Fenced,
    /// A wait would close a circle of invocations that wait for each other.
    WaitCycle,
    /// A fault that is none of the others.
    Unexpected,
}

/// An error with its kind, the facts that explain it, and its source.
pub struct Error {
    kind: ErrorKind,
    message: Cow<'static, str>,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; the message is lower-case and has no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), context: Vec::new(), source: None }
    }

    /// An [`ErrorKind::Unavailable`] error.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// An [`ErrorKind::Config`] error.
    pub fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// An [`ErrorKind::Invalid`] error.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// An [`ErrorKind::Corrupt`] error.
    pub fn corrupt(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// Adds a fact that helps to find the cause.
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

    /// The same error for another caller that it concerns; its source becomes text.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let mut copy = Self::new(self.kind, self.message.clone());
        copy.context.clone_from(&self.context);
        copy.source = self.source.as_ref().map(|source| source.to_string().into());
        copy
    }

    /// What to decide by.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message without its facts and its source.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The facts added by [`Error::with`].
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.context
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::StoreFull)
    }

    /// Whether the store is at fault and not what it was given: the same call may succeed later, or once somebody has
    /// given back rights or put a setting right.
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
    fn shows_facts_and_sources() {
        let error = Error::unavailable("can't reach the store").with("host", "localhost").caused_by("refused");
        assert_eq!(error.to_string(), "can't reach the store (host: localhost)");
        assert_eq!(format!("{error:?}"), "Unavailable: can't reach the store (host: localhost): refused");
        assert!(error.is_retryable());
    }
}
