//! Compares this system with others: the same work in turns on one machine, as a table in Markdown.
//!
//! The programs of the other systems are in the folder `peers`. Each has dependencies and a lock file of its own.

mod systems;
mod tables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use pynenc::prelude::*;

use self::systems::{COLUMNS, Column, System};
use self::tables::Row;
use crate::backend::{Backend, BackendKind};
use crate::benchmarks::{BENCHMARKS, Benchmark};
use crate::build_folder::BuildFolder;
use crate::statistics::{Range, median};
use crate::{measure, program};

/// The benchmarks that can be named.
pub(crate) fn names() -> Vec<&'static str> {
    COLUMNS.iter().map(|column| column.benchmark).collect()
}

/// Measures the systems of a backend with the wanted benchmarks, or all, and prints the tables. The programs are built into the target folder, or into
/// a temporary one.
///
/// # Errors
///
/// Fails if a program can't be built or fails.
pub(crate) fn compare(backend: BackendKind, wanted: &[String], target: Option<PathBuf>, rounds: usize) -> Result<()> {
    let folder = target.map_or_else(|| BuildFolder::temporary("pynenc-peers"), BuildFolder::kept);
    let programs = build(backend, folder.path())?;
    let is_wanted = |column: &&Column| wanted.is_empty() || wanted.iter().any(|name| name == column.benchmark);
    let columns: Vec<_> = COLUMNS.iter().filter(is_wanted).collect();
    let mut rows: Vec<_> = systems::on(backend).map(Row::new).collect();
    for column in &columns {
        measure_column(column, backend, &programs, rounds, &mut rows)?;
    }
    print!("\n{}", tables::rates_table(&columns, &rows));
    print!("\nThe rate of pynenc, relative to each (medians):\n\n{}", tables::ratios_table(&columns, &rows));
    Ok(())
}

/// Builds every program of a backend, by its name.
fn build(backend: BackendKind, target: &Path) -> Result<BTreeMap<&'static str, PathBuf>> {
    let target = std::path::absolute(target).map_err(Error::other)?;
    let target = target.to_str().ok_or_else(|| Error::other("the target folder's name isn't UTF-8"))?;
    let mut programs = BTreeMap::new();
    for name in systems::on(backend).filter_map(|system| system.program) {
        if !programs.contains_key(name) {
            programs.insert(name, program::build(name, &folder_of(name), &["--locked", "--target-dir", target])?);
        }
    }
    Ok(programs)
}

/// The folder of a peer's program.
pub(crate) fn folder_of(program: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(program)
}

/// Measures a benchmark with each system in turns. Each round begins with another system.
fn measure_column(
    column: &Column,
    backend: BackendKind,
    programs: &BTreeMap<&'static str, PathBuf>,
    rounds: usize,
    rows: &mut [Row],
) -> Result<()> {
    let backend = Arc::new(backend.start());
    match &*backend {
        Backend::Redis(_, reference) => println!("{}: {:.0} SET/s one by one", column.benchmark, reference.round_trips),
        Backend::Sqlite(_, bare) => println!("{}: {:.0} bare inserts/s one by one", column.benchmark, bare.single),
        Backend::Memory => {}
    }
    let has = |row: &Row| row.system.benchmarks.contains(&column.benchmark);
    let measured: Vec<_> = (0..rows.len()).filter(|index| has(&rows[*index])).collect();
    for round in 0..rounds {
        for turn in 0..measured.len() {
            let index = measured[(round + turn) % measured.len()];
            let Row { system, rates } = &mut rows[index];
            let rate = rate(system, column, programs, &backend)?;
            eprintln!("round {}: {} of {}: {rate:.0} calls/s", round + 1, column.benchmark, system.title);
            rates.entry(column.benchmark).or_default().push(rate);
        }
    }
    measured.into_iter().for_each(|index| report(&rows[index], column));
    Ok(())
}

/// The calls per second of one run.
fn rate(
    system: &System,
    column: &Column,
    programs: &BTreeMap<&'static str, PathBuf>,
    backend: &Arc<Backend>,
) -> Result<f64> {
    let benchmark = benchmark(column)?;
    let Some(program) = system.program else {
        let measured = measure::once(benchmark, backend)?;
        return measured.first().map(|it| it.value).ok_or_else(|| Error::other("the benchmark measured nothing"));
    };
    let mut command = Command::new(&programs[program]);
    let calls = system.calls.unwrap_or(column.calls);
    command.arg(backend.empty_store()).args([column.benchmark, &calls.to_string(), &benchmark.threads.to_string()]);
    let figures = program::figures(system.title, command.arg(system.variant))?;
    figures.first().map(|it| it.value).ok_or_else(|| Error::other(format!("{} printed no figure", system.title)))
}

fn benchmark(column: &Column) -> Result<&'static Benchmark> {
    let found = BENCHMARKS.iter().find(|benchmark| benchmark.name == column.benchmark);
    found.ok_or_else(|| Error::other(format!("there is no benchmark `{}`", column.benchmark)))
}

fn report(Row { system, rates }: &Row, column: &Column) {
    let rates = &rates[column.benchmark];
    let line = serde_json::json!({
        "figure": column.benchmark, "backend": system.backend.name(), "system": system.title, "value": median(rates.clone()),
        "unit": "calls/s", "range": Range::of(rates.iter().copied()).map(|range| [range.lowest, range.highest]),
        "runs": rates.len(),
    });
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::systems::SYSTEMS;
    use super::*;

    #[test]
    fn every_column_is_a_benchmark_and_every_program_has_a_locked_manifest() {
        for column in COLUMNS {
            assert!(benchmark(column).is_ok(), "{}", column.benchmark);
        }
        for system in SYSTEMS {
            assert!(system.benchmarks.iter().all(|name| names().contains(name)), "{}", system.title);
            for file in
                system.program.iter().flat_map(|name| ["Cargo.toml", "Cargo.lock"].map(|it| folder_of(name).join(it)))
            {
                assert!(file.is_file(), "{}", file.display());
            }
        }
    }

    #[test]
    fn this_system_is_the_first_one_of_each_backend() {
        for backend in [BackendKind::Redis, BackendKind::Sqlite] {
            let own: Vec<_> = systems::on(backend).map(|system| system.program.is_none()).collect();
            assert!(own.iter().enumerate().all(|(index, own)| *own == (index == 0)), "{own:?}");
        }
    }

    #[test]
    fn titles_state_the_locked_versions() {
        for system in SYSTEMS {
            let Some(program) = system.program else { continue };
            let mut words = system.title.split([' ', ',']);
            let (package, version) = (words.next().unwrap(), words.next().unwrap());
            let lock = std::fs::read_to_string(folder_of(program).join("Cargo.lock")).unwrap();
            assert!(lock.contains(&format!("name = \"{package}\"\nversion = \"{version}\"")), "{}", system.title);
        }
    }

    #[test]
    fn a_title_states_the_calls_that_differ_from_those_of_the_column() {
        for system in SYSTEMS {
            let Some(calls) = system.calls else { continue };
            assert!(
                system.title.ends_with(&format!(", {} calls", tables::thousands(calls as u64))),
                "{}",
                system.title
            );
        }
    }
}
