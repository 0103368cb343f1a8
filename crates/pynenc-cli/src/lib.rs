//! The command line of pynenc, for a program that has tasks and as the stand-alone program `pynenc`.
//!
//! One line gives a program with tasks every command, including `worker`, which runs its invocations:
//!
//! ```no_run
//! #[tokio::main]
//! async fn main() -> pynenc_engine::Result<()> {
//!     pynenc_cli::main().await
//! }
//! ```
//!
//! If the app needs more than settings, such as states or plug-ins, add them to the builder and call
//! [`cli`](CommandLine::cli) instead of `build`:
//!
//! ```no_run
//! use pynenc_cli::CommandLine;
//! use pynenc_builder::Pynenc;
//!
//! # struct Database;
//! # async fn main_() -> pynenc_engine::Result<()> {
//! Pynenc::builder().state(Database).cli().await
//! # }
//! ```
//!
//! `--help` describes all commands and options. Start with `worker`, `call`, `invocations`, `why` and `check`.
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | success |
//! | 1 | failure; for `check`: something must be fixed |
//! | 2 | the command line is invalid |
//! | 3 | a setting is invalid |
//! | 4 | a store can't be reached or refuses requests for now; the same command may succeed later |
//! | 5 | there is no such invocation, task or trigger |
//! | 6 | the awaited invocation finished without a value |
//!
//! With `--json` a command prints one JSON value on standard output. Its times are milliseconds since 1970. Errors and
//! notes go to standard error, with or without `--json`.

#[expect(clippy::doc_markdown, reason = "clap prints the doc comments as help, where Markdown would show")]
mod arguments;
mod commands;
mod exit;
mod in_memory;
mod output;
mod partial_id;
mod search;
pub mod status_machine;
mod stderr;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
use pynenc_builder::{Pynenc, PynencBuilder};
use pynenc_engine::Result;

use crate::arguments::Arguments;
use crate::output::Output;

pub use crate::exit::Exit;

/// Runs the command in the program's arguments, for the app that the configuration describes.
///
/// If the command fails, this function prints the error on standard error and exits the process with the code in the
/// [table above](crate#exit-codes).
///
/// # Errors
///
/// Never returns an error. The result type lets a `main` that returns `Result` end with this call.
pub async fn main() -> Result<()> {
    Pynenc::builder().cli().await
}

/// Runs commands for the app of a builder.
pub trait CommandLine {
    /// Runs the command in the program's arguments, and exits the process if the command fails, as [`main`] does.
    ///
    /// # Errors
    ///
    /// Never returns an error, as [`main`].
    fn cli(self) -> impl Future<Output = Result<()>> + Send;

    /// Runs the command in `arguments` and returns its exit status. The first argument is the program's name.
    fn cli_with(self, arguments: Vec<OsString>) -> impl Future<Output = Exit> + Send;
}

impl CommandLine for PynencBuilder {
    async fn cli(self) -> Result<()> {
        match self.cli_with(std::env::args_os().collect()).await {
            Exit::Done => Ok(()),
            failure => std::process::exit(failure.code()),
        }
    }

    async fn cli_with(self, arguments: Vec<OsString>) -> Exit {
        let arguments = match parse(arguments) {
            Ok(arguments) => arguments,
            Err(error) => return print_parse_error(&error),
        };
        let mut output = Output::stdout(arguments.json);
        match commands::run(self, arguments, &mut output).await {
            Ok(exit) => exit,
            Err(error) => Exit::report(&error),
        }
    }
}

fn parse(arguments: Vec<OsString>) -> Result<Arguments, clap::Error> {
    let matches = Arguments::command().try_get_matches_from(arguments)?;
    Arguments::from_arg_matches(&matches)
}

/// Prints what clap returned as an error. `--help` and `--version` are among these errors, but are no failures.
fn print_parse_error(error: &clap::Error) -> Exit {
    // If standard error is closed, there is no other place to report that.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    }
}
