//! Exit statuses of commands, and how an error becomes one.

use std::error::Error as _;
use std::io::ErrorKind;

use pynenc_engine::Error;

use crate::stderr;

/// The exit status of a command, and of its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// The command succeeded.
    Done = 0,
    /// The command failed.
    Failed = 1,
    /// The command line is invalid.
    Usage = 2,
    /// A setting is invalid.
    Config = 3,
    /// A store can't be reached or refuses requests for now.
    Unavailable = 4,
    /// There is no such invocation, task or trigger.
    NotFound = 5,
    /// The awaited invocation finished without a value.
    NoValue = 6,
}

impl Exit {
    /// Returns the exit code of the process.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// Prints an error with its causes on standard error, and returns its exit status.
    ///
    /// A broken pipe counts as success and prints nothing: the reader, such as `head`, needs no more output.
    pub(crate) fn report(error: &Error) -> Self {
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
        stderr::print("error", &text);
        Self::of(error)
    }

    fn of(error: &Error) -> Self {
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
    fn each_error_has_its_exit_status() {
        let check = |error: Error, exit: Exit| assert_eq!(Exit::of(&error), exit, "{error}");
        check(pynenc_core::Error::config("wrong").into(), Exit::Config);
        check(pynenc_core::Error::unavailable("down").into(), Exit::Unavailable);
        check(pynenc_core::Error::invalid("no").into(), Exit::Failed);
        check(Error::InvocationNotFound(InvocationId::new()), Exit::NotFound);
        check(Error::UnknownTask { task: "a".into(), known: vec![] }, Exit::NotFound);
    }

    #[test]
    fn a_broken_pipe_is_success() {
        let broken_pipe = std::io::Error::from(ErrorKind::BrokenPipe);
        assert_eq!(Exit::report(&Error::other(broken_pipe)), Exit::Done);
    }
}
