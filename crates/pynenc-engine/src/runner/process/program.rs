//! The program that a worker process executes.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::{Child, Command};

use super::control::Role;
use crate::error::{Error, Result};

/// A program with its arguments.
#[derive(Debug, Clone)]
pub(super) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    pub(super) fn new(path: impl Into<PathBuf>, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { path: path.into(), arguments: arguments.into_iter().map(Into::into).collect() }
    }

    /// This program with its own arguments.
    pub(super) fn this() -> Result<Self> {
        let path = std::env::current_exe().map_err(Error::other)?;
        Ok(Self::new(path, std::env::args_os().skip(1)))
    }

    /// Starts a worker process in a role. The supervisor stops it through its standard input. The process has a
    /// process group of its own, so that signals of a terminal reach only the supervisor.
    pub(super) fn start(&self, role: Role) -> std::io::Result<Child> {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).stdin(Stdio::piped()).kill_on_drop(true);
        let (name, value) = role.variable();
        command.env(name, value);
        #[cfg(unix)]
        command.process_group(0);
        command.spawn()
    }
}
