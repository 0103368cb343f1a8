//! How a process ends.

use std::error::Error as _;
use std::io::ErrorKind;

use pynenc_engine::Error;

/// How a command ended, and so its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// The command line isn't understood.
    Usage = 2,
    /// A setting is wrong.
    Config = 3,
    /// A store can't be reached, or refuses for now.
    Unavailable = 4,
    /// There is no such invocation, task or trigger.
    NotFound = 5,
    /// The invocation that was waited for ended without a value.
    NoValue = 6,
}

impl Exit {
    /// The code of the process.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// Tells of an error on standard error, and gives what it comes to. Nobody reads any more: that is no fault.
    pub(crate) fn of(error: &Error) -> Self {
        if is_broken_pipe(error) {
            return Self::Done;
        }
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(source) = cause {
            let more = source.to_string();
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            cause = source.source();
        }
        crate::screen::complain("error", &text);
        Self::code_of(error)
    }

    fn code_of(error: &Error) -> Self {
        match error {
            Error::Config(_) | Error::Injection { .. } => Self::Config,
            Error::Unavailable { .. } => Self::Unavailable,
            Error::InvocationNotFound(_) | Error::UnknownTask { .. } => Self::NotFound,
            _ => Self::Failed,
        }
    }
}

fn is_broken_pipe(error: &Error) -> bool {
    let Error::Other(other) = error else { return false };
    other.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pynenc_core::InvocationId;

    #[test]
    fn each_error_has_its_code() {
        let check = |error: Error, exit: Exit| assert_eq!(Exit::code_of(&error), exit, "{error}");
        check(pynenc_core::Error::config("wrong").into(), Exit::Config);
        check(pynenc_core::Error::unavailable("down").into(), Exit::Unavailable);
        check(pynenc_core::Error::invalid("no").into(), Exit::Failed);
        check(Error::InvocationNotFound(InvocationId::new()), Exit::NotFound);
        check(Error::UnknownTask { task: "a".into(), known: vec![] }, Exit::NotFound);
    }

    #[test]
    fn who_stops_reading_is_no_fault() {
        let gone = std::io::Error::from(ErrorKind::BrokenPipe);
        assert_eq!(Exit::of(&Error::other(gone)), Exit::Done);
    }
}
