//! Compares this system with others: the same work in turns on one server, as a table in Markdown.
//!
//! The programs of the other systems are in the folder `peers`. Each has dependencies and a lock file of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use pynenc::prelude::*;

use crate::backend::{Backend, BackendKind};
use crate::benchmarks::{BENCHMARKS, Benchmark};
use crate::build_folder::BuildFolder;
use crate::statistics::{Range, median};
use crate::{calls, measure, program};

/// A system with one set of settings: a row of the table.
struct System {
    title: &'static str,
    /// The program in the folder `peers`; `None` for this system.
    program: Option<&'static str>,
    /// The argument that selects the settings.
    variant: &'static str,
    /// The measured benchmarks.
    benchmarks: &'static [&'static str],
    /// The state that the system keeps.
    keeps: &'static str,
}

const SYSTEMS: &[System] = &[
    System {
        title: "pynenc",
        program: None,
        variant: "",
        benchmarks: &["submit", "submit_64_producers", "submit_all", "drain"],
        keeps: "state, history, result; work of killed workers",
    },
    System {
        title: "rusty-sidekiq 0.15.2, 80 connections",
        program: Some("rusty-sidekiq"),
        variant: "default",
        benchmarks: &["submit", "submit_64_producers", "drain"],
        keeps: "nothing: work of killed workers is lost",
    },
    System {
        title: "oxana 2.5.0, 80 connections",
        program: Some("oxana"),
        variant: "default",
        benchmarks: &["submit", "submit_64_producers", "submit_all", "drain"],
        keeps: "work of killed workers",
    },
    System {
        title: "apalis-redis 1.0.0, batches of 2,000, without locks and events",
        program: Some("apalis"),
        variant: "tuned",
        benchmarks: &["submit", "submit_64_producers", "submit_all", "drain"],
        keeps: "result",
    },
    System {
        title: "apalis-redis 1.0.0, batches of 2,000",
        program: Some("apalis"),
        variant: "locked",
        benchmarks: &["drain"],
        keeps: "result; work of killed workers",
    },
    System {
        title: "apalis-redis 1.0.0, default settings",
        program: Some("apalis"),
        variant: "default",
        benchmarks: &["drain"],
        keeps: "the same",
    },
];

/// A column of the table.
struct Column {
    benchmark: &'static str,
    title: &'static str,
    calls: usize,
}

const COLUMNS: &[Column] = &[
    Column { benchmark: "submit", title: "single submits", calls: calls::SUBMITS },
    Column { benchmark: "submit_64_producers", title: "64 producers", calls: calls::CONCURRENT_SUBMITS },
    Column { benchmark: "submit_all", title: "bulk submits", calls: calls::BULK_SUBMITS },
    Column { benchmark: "drain", title: "drain", calls: calls::BACKLOG },
];

/// The rates of a row, in calls per second, by benchmark.
type Rates = BTreeMap<&'static str, Vec<f64>>;

/// The benchmarks that can be named.
pub(crate) fn names() -> Vec<&'static str> {
    COLUMNS.iter().map(|column| column.benchmark).collect()
}

/// Measures the wanted benchmarks, or all, and prints the tables. The programs are built into the target folder, or into
/// a temporary one.
///
/// # Errors
///
/// Fails if a program can't be built or fails.
pub(crate) fn compare(wanted: &[String], target: Option<PathBuf>, rounds: usize) -> Result<()> {
    let folder = target.map_or_else(|| BuildFolder::temporary("pynenc-peers"), BuildFolder::kept);
    let programs = build(folder.path())?;
    let is_wanted = |column: &&Column| wanted.is_empty() || wanted.iter().any(|name| name == column.benchmark);
    let columns: Vec<_> = COLUMNS.iter().filter(is_wanted).collect();
    let mut rows: Vec<Rates> = SYSTEMS.iter().map(|_| Rates::new()).collect();
    for column in &columns {
        measure_column(column, &programs, rounds, &mut rows)?;
    }
    print!("\n{}", rates_table(&columns, &rows));
    print!("\nThe rate of pynenc, relative to each (medians):\n\n{}", ratios_table(&columns, &rows));
    Ok(())
}

/// Builds every program, by its name.
fn build(target: &Path) -> Result<BTreeMap<&'static str, PathBuf>> {
    let target = std::path::absolute(target).map_err(Error::other)?;
    let target = target.to_str().ok_or_else(|| Error::other("the target folder's name isn't UTF-8"))?;
    let mut programs = BTreeMap::new();
    for name in SYSTEMS.iter().filter_map(|system| system.program) {
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
    programs: &BTreeMap<&'static str, PathBuf>,
    rounds: usize,
    rows: &mut [Rates],
) -> Result<()> {
    let backend = Arc::new(BackendKind::Redis.start());
    if let Backend::Redis(_, reference) = &*backend {
        println!("{}: {:.0} SET/s one by one", column.benchmark, reference.round_trips);
    }
    let has = |system: &System| system.benchmarks.contains(&column.benchmark);
    let measured: Vec<_> = (0..SYSTEMS.len()).filter(|index| has(&SYSTEMS[*index])).collect();
    for round in 0..rounds {
        for turn in 0..measured.len() {
            let index = measured[(round + turn) % measured.len()];
            let rate = rate(&SYSTEMS[index], column, programs, &backend)?;
            eprintln!("round {}: {} of {}: {rate:.0} calls/s", round + 1, column.benchmark, SYSTEMS[index].title);
            rows[index].entry(column.benchmark).or_default().push(rate);
        }
    }
    measured.into_iter().for_each(|index| report(&SYSTEMS[index], column, &rows[index]));
    Ok(())
}

/// The calls per second of one run.
fn rate(
    system: &System,
    column: &Column,
    programs: &BTreeMap<&'static str, PathBuf>,
    backend: &Arc<Backend>,
) -> Result<f64> {
    let Backend::Redis(server, _) = &**backend else { unreachable!("the systems share a Redis server") };
    let benchmark = benchmark(column)?;
    server.command(&["FLUSHALL"]);
    let Some(program) = system.program else {
        let measured = measure::once(benchmark, backend)?;
        return measured.first().map(|it| it.value).ok_or_else(|| Error::other("the benchmark measured nothing"));
    };
    let mut command = Command::new(&programs[program]);
    command.arg(server.url()).args([column.benchmark, &column.calls.to_string(), &benchmark.threads.to_string()]);
    let figures = program::figures(system.title, command.arg(system.variant))?;
    figures.first().map(|it| it.value).ok_or_else(|| Error::other(format!("{} printed no figure", system.title)))
}

fn benchmark(column: &Column) -> Result<&'static Benchmark> {
    let found = BENCHMARKS.iter().find(|benchmark| benchmark.name == column.benchmark);
    found.ok_or_else(|| Error::other(format!("there is no benchmark `{}`", column.benchmark)))
}

fn report(system: &System, column: &Column, rates: &Rates) {
    let rates = &rates[column.benchmark];
    let line = serde_json::json!({
        "figure": column.benchmark, "backend": "redis", "system": system.title, "value": median(rates.clone()),
        "unit": "calls/s", "range": Range::of(rates.iter().copied()).map(|range| [range.lowest, range.highest]),
        "runs": rates.len(),
    });
    println!("{line}");
}

/// The table of the rates, each as the range of its runs.
fn rates_table(columns: &[&Column], rows: &[Rates]) -> String {
    let mut table = head(columns, &["what is kept"]);
    for (system, rates) in SYSTEMS.iter().zip(rows) {
        let cell = |column: &&Column| rates.get(column.benchmark).map_or(String::new(), |rates| rates_cell(rates));
        row(&mut table, system.title, columns.iter().map(cell).chain([system.keeps.to_owned()]));
    }
    table
}

/// The table of the rates of this system, each divided by that of another one.
fn ratios_table(columns: &[&Column], rows: &[Rates]) -> String {
    let mut table = head(columns, &[]);
    let median_of = |rates: &Rates, column: &Column| rates.get(column.benchmark).map(|rates| median(rates.clone()));
    for (system, rates) in SYSTEMS.iter().zip(rows).filter(|(system, _)| system.program.is_some()) {
        let cell = |column: &&Column| {
            let ratio = median_of(&rows[0], column).zip(median_of(rates, column)).map(|(ours, other)| ours / other);
            ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"))
        };
        row(&mut table, system.title, columns.iter().map(cell));
    }
    table
}

fn head(columns: &[&Column], more: &[&str]) -> String {
    let mut table = String::new();
    let titles = columns.iter().map(|column| column.title).chain(more.iter().copied());
    row(&mut table, "", titles.map(str::to_owned));
    table.push_str(&"|---".repeat(1 + columns.len() + more.len()));
    table.push_str("|\n");
    table
}

fn row(table: &mut String, title: &str, cells: impl Iterator<Item = String>) {
    for cell in std::iter::once(title.to_owned()).chain(cells) {
        let space = if cell.is_empty() { "" } else { " " };
        write!(table, "|{space}{cell} ").expect("a string can be written to");
    }
    table.push_str("|\n");
}

/// The lowest and the highest rate, rounded to hundreds.
fn rates_cell(rates: &[f64]) -> String {
    let Some(Range { lowest, highest }) = Range::of(rates.iter().copied()) else { return String::new() };
    let [lowest, highest] = [lowest, highest].map(|rate| thousands((rate / 100.0).round() as u64 * 100));
    if lowest == highest { format!("{lowest}/s") } else { format!("{lowest} to {highest}/s") }
}

/// Writes a number with a comma before each group of three digits.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
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
    fn titles_state_the_locked_versions() {
        for (package, version) in [("rusty-sidekiq", "0.15.2"), ("oxana", "2.5.0"), ("apalis-redis", "1.0.0")] {
            let folder = folder_of(if package == "apalis-redis" { "apalis" } else { package });
            let lock = std::fs::read_to_string(folder.join("Cargo.lock")).unwrap();
            assert!(lock.contains(&format!("name = \"{package}\"\nversion = \"{version}\"")), "{package}");
            assert!(
                SYSTEMS.iter().any(|system| system.title.starts_with(&format!("{package} {version}"))),
                "{package}"
            );
        }
    }

    #[test]
    fn a_cell_has_the_range_of_its_rates_in_hundreds() {
        assert_eq!(rates_cell(&[9_777.0, 9_321.0, 9_500.0]), "9,300 to 9,800/s");
        assert_eq!(rates_cell(&[1_234_567.0]), "1,234,600/s");
        assert_eq!(rates_cell(&[]), "");
    }

    #[test]
    fn tables_have_a_cell_for_each_column() {
        let columns: Vec<_> =
            COLUMNS.iter().filter(|column| ["submit_all", "drain"].contains(&column.benchmark)).collect();
        let mut rows: Vec<Rates> = SYSTEMS.iter().map(|_| Rates::new()).collect();
        rows[0].insert("drain", vec![20_000.0, 30_000.0, 24_000.0]);
        rows[0].insert("submit_all", vec![50_000.0]);
        rows[1].insert("drain", vec![12_000.0]);
        let rates = rates_table(&columns, &rows);
        let lines: Vec<_> = rates.lines().collect();
        assert_eq!(lines[0], "| | bulk submits | drain | what is kept |");
        assert_eq!(lines[1], "|---|---|---|---|");
        assert_eq!(
            lines[2],
            "| pynenc | 50,000/s | 20,000 to 30,000/s | state, history, result; work of killed workers |"
        );
        assert_eq!(
            lines[3],
            "| rusty-sidekiq 0.15.2, 80 connections | | 12,000/s | nothing: work of killed workers is lost |"
        );
        assert_eq!(lines.len(), 2 + SYSTEMS.len());
        let ratios = ratios_table(&columns, &rows);
        assert_eq!(ratios.lines().nth(2), Some("| rusty-sidekiq 0.15.2, 80 connections | | 2.00 |"));
    }
}
