//! `completions`: prints a completion script for a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::{Arguments, program_name};
use crate::exit::Exit;

pub(super) fn print(shell: Shell) -> Exit {
    let (mut command, name) = (Arguments::command(), program_name());
    clap_complete::generate(shell, &mut command, name, &mut std::io::stdout());
    Exit::Done
}
