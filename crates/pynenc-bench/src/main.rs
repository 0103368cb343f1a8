//! Benchmarks of pynenc: a table for people, and one JSON line per measurement for programs.
//!
//! `cargo run --release -p pynenc-bench -- [memory|redis|sqlite] [benchmark ..]` runs the named benchmarks, or all, on every
//! backend. Every measurement is the median of several runs, because machines are shared. Compare two programs in the
//! same run, and quote ratios. The Redis backend starts its own server and measures that server's best speed in the same
//! minute. The SQLite backend has a file in the folder of temporary files and measures bare statements on another one;
//! `sqlite` commits without waiting for the disk, and `sqlite-full` waits.
//!
//! - `redis --against FOLDER [benchmark ..]` compares this build with that of another checkout, or with a program
//! - `peers [redis|sqlite] [benchmark ..]` compares this system with others; `--target FOLDER` keeps their builds
//! - `growth [series ..]` measures how cost grows, and `--plots FOLDER` draws the results
//! - `build` measures a release build once, and `build --against-apalis` measures that of a small app beside one of apalis
//!
//! `--rounds N` sets the number of rounds of a comparison.

mod against;
mod argument_cache;
mod arguments;
mod backend;
mod bare_minimum;
mod bare_sqlite;
mod benchmarks;
mod build_folder;
mod calls;
mod growth;
mod measure;
mod measurement;
mod parked;
mod peers;
mod plot;
mod program;
mod release_build;
mod server_cost;
mod statistics;
mod tasks;
mod triggers;
mod worker_process;
mod workflows;

use std::process::ExitCode;

use arguments::Command;
use backend::BackendKind;

fn main() -> ExitCode {
    if let Some(worked) = worker_process::role() {
        return exit(worked);
    }
    match Command::parse(std::env::args().skip(1)) {
        Ok(command) => exit(run(command)),
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn exit(result: pynenc::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{error}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                eprint!(": {cause}");
                source = cause.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> pynenc::Result<()> {
    match command {
        Command::Measure { backends, benchmarks } => on_each(&backends, |backend| measure::all(&benchmarks, backend)),
        Command::Growth { backends, series, plots } => {
            on_each(&backends, |backend| growth::measure(&series, backend, plots.as_deref()))
        }
        Command::Against { backend, other, benchmarks, rounds } => {
            against::compare(backend, &other, &benchmarks, rounds)
        }
        Command::Peers { backend, benchmarks, target, rounds } => peers::compare(backend, &benchmarks, target, rounds),
        Command::Build => release_build::measured().map(|it| measure::report("build", "this machine", 1, &it)),
        Command::BuildAgainstApalis { rounds } => release_build::against_apalis(rounds),
    }
}

/// Prints the head of the table, and measures on each backend.
fn on_each(backends: &[BackendKind], measure: impl Fn(BackendKind) -> pynenc::Result<()>) -> pynenc::Result<()> {
    println!("{:<36} {:>14} {:<18} {:>14}   {:>8}", "figure", "measured", "unit", "target", "of it");
    backends.iter().try_for_each(|backend| measure(*backend))
}
