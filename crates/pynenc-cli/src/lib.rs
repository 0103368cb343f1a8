//! The command line: for a program that has tasks, and as the stand-alone `pynenc`.
//!
//! A program with tasks gets all of it by one line, and is its own worker:
//!
//! ```no_run
//! #[tokio::main]
//! async fn main() -> pynenc_engine::Result<()> {
//!     pynenc_cli::main().await
//! }
//! ```
//!
//! What the app needs beyond its settings goes through the builder:
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
//! # Exit codes
//!
//! | code | means |
//! |---|---|
//! | 0 | what was asked for is done |
//! | 1 | it failed; for `check`: something has to be mended |
//! | 2 | the command line isn't understood |
//! | 3 | a setting is wrong |
//! | 4 | a store can't be reached, or refuses for now: the same command may succeed later |
//! | 5 | there is no such invocation, task or trigger |
//! | 6 | the invocation that was waited for ended without a value |
//!
//! With `--json` the answer on standard output is JSON: one value, with times in milliseconds since 1970. What goes wrong
//! is told on standard error in either case.

#[expect(clippy::doc_markdown, reason = "the documentation is the help, which people read as it stands")]
mod arguments;
mod bulk;
mod commands;
mod console;
mod exit;
mod screen;
pub mod status_machine;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
use pynenc_builder::{Pynenc, PynencBuilder};
use pynenc_engine::Result;

use crate::arguments::Arguments;
use crate::screen::Screen;

pub use crate::exit::Exit;

/// Does what the program's arguments say, for the app that the configuration describes.
///
/// # Errors
///
/// None: what goes wrong is told on standard error, and ends the process with the code that the crate's documentation
/// gives.
pub async fn main() -> Result<()> {
    Pynenc::builder().cli().await
}

/// The command line of an app that is made by a builder.
pub trait CommandLine {
    /// Does what the program's arguments say; see [`main`].
    ///
    /// # Errors
    ///
    /// None, as [`main`].
    fn cli(self) -> impl Future<Output = Result<()>> + Send;

    /// Does what `arguments` say, the first of which is the program's name, and tells how the process should end.
    fn cli_with(self, arguments: Vec<OsString>) -> impl Future<Output = Exit> + Send;
}

impl CommandLine for PynencBuilder {
    async fn cli(self) -> Result<()> {
        match self.cli_with(std::env::args_os().collect()).await {
            Exit::Done => Ok(()),
            other => std::process::exit(other.code()),
        }
    }

    async fn cli_with(self, arguments: Vec<OsString>) -> Exit {
        let arguments = match parsed(arguments) {
            Ok(arguments) => arguments,
            Err(error) => return told(&error),
        };
        let mut screen = Screen::of_process(arguments.json);
        match commands::perform(self, arguments, &mut screen).await {
            Ok(exit) => exit,
            Err(error) => Exit::of(&error),
        }
    }
}

fn parsed(arguments: Vec<OsString>) -> Result<Arguments, clap::Error> {
    let matches = Arguments::command().try_get_matches_from(arguments)?;
    Arguments::from_arg_matches(&matches)
}

/// Help and the version are answers; everything else is a mistake.
fn told(error: &clap::Error) -> Exit {
    // Nobody is left to be told that nobody reads.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    }
}
