//! Compares this build with another one: the same benchmarks in turns, and the ratios.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pynenc::prelude::*;

use crate::backend::BackendKind;
use crate::program::{self, Figure};
use crate::statistics::{Range, median};

/// The benchmarks of a comparison over Redis that names none.
const REDIS: &[&str] = &[
    "submit",
    "submit_64_producers",
    "submit_all",
    "drain",
    "drain_large_backlog",
    "latency",
    "fibonacci",
    "bytes",
    "lifecycle",
    "idle",
];
/// The benchmarks of a comparison in memory that names none.
const MEMORY: &[&str] = &["submit", "submit_64_producers", "submit_all", "drain", "latency", "fibonacci"];

/// The figures of both programs in one round.
struct Round {
    new: Vec<Figure>,
    old: Vec<Figure>,
}

/// One measurement of both programs in all rounds. An older build may not have it.
struct Comparison {
    name: String,
    unit: String,
    higher_is_better: bool,
    new: Vec<f64>,
    old: Vec<f64>,
}

/// Measures the named benchmarks with this program and the other one, in turns, and prints the ratios.
///
/// # Errors
///
/// Fails if the other one is neither a checkout nor a program, can't be built, or fails.
pub(crate) fn compare(backend: BackendKind, other: &Path, benchmarks: &[String], rounds: usize) -> Result<()> {
    let new = std::env::current_exe().map_err(Error::other)?;
    let old = other_program(other)?;
    println!("new: {}\nold: {}", new.display(), old.display());
    println!("{:<36} {:>12} {:>12} {:<18} {:>8}   {:<14} better", "figure", "new", "old", "unit", "new/old", "range");
    let named: Vec<_> = benchmarks.iter().map(String::as_str).collect();
    for benchmark in if named.is_empty() { defaults(backend) } else { &named } {
        let rounds: Vec<_> =
            (0..rounds).map(|round| in_turns(round, [&new, &old], backend, benchmark)).collect::<Result<_>>()?;
        let comparisons = comparisons(&rounds);
        if comparisons.is_empty() {
            println!("{benchmark:<36} has no figure with this backend");
        }
        comparisons.iter().for_each(|comparison| report(comparison, backend, rounds.len()));
    }
    Ok(())
}

const fn defaults(backend: BackendKind) -> &'static [&'static str] {
    match backend {
        BackendKind::Memory => MEMORY,
        BackendKind::Redis | BackendKind::Sqlite | BackendKind::SqliteFull => REDIS,
    }
}

/// Returns the program itself, or builds that of a checkout.
fn other_program(other: &Path) -> Result<PathBuf> {
    let manifest = "crates/pynenc-bench/Cargo.toml";
    let program = if other.is_file() {
        other.canonicalize().map_err(Error::other)?
    } else if other.join(manifest).is_file() {
        program::build("the other build", other, &["-p", "pynenc-bench"])?
    } else {
        let problem = if other.exists() { format!("it has no {manifest}") } else { "it doesn't exist".to_owned() };
        return Err(cannot_compare(other, &problem));
    };
    if is_benchmarks(&program) { Ok(program) } else { Err(cannot_compare(other, "it isn't a program of benchmarks")) }
}

fn cannot_compare(other: &Path, problem: &str) -> Error {
    let hint = "Name the root folder of another checkout of this repository, or a built pynenc-bench program.";
    Error::other(format!("can't compare with {}: {problem}. {hint}", other.display()))
}

/// Returns whether a program knows benchmarks: it refuses an unknown one. So a wrong program is noticed before the first
/// measurement.
fn is_benchmarks(program: &Path) -> bool {
    let output = Command::new(program).arg("no-such-benchmark").stdin(Stdio::null()).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stderr).contains("unknown benchmark"))
}

/// Measures a benchmark with both programs. The other one begins in every second round, so that neither profits from
/// the order.
fn in_turns(round: usize, [new, old]: [&Path; 2], backend: BackendKind, benchmark: &str) -> Result<Round> {
    let measure = |name: &str, program: &Path| {
        eprintln!("round {}: {benchmark} with the {name} build", round + 1);
        program::figures(&format!("the {name} build"), Command::new(program).args([backend.name(), benchmark]))
    };
    if round.is_multiple_of(2) {
        let new = measure("new", new)?;
        Ok(Round { new, old: measure("old", old)? })
    } else {
        let old = measure("old", old)?;
        Ok(Round { new: measure("new", new)?, old })
    }
}

/// Collects the values of each measurement of the new program.
fn comparisons(rounds: &[Round]) -> Vec<Comparison> {
    let first = rounds.first().map_or(&[][..], |round| &round.new);
    let value = |figures: &[Figure], name: &str| figures.iter().find(|it| it.name == name).map(|it| it.value);
    let of = |figure: &Figure| Comparison {
        name: figure.name.clone(),
        unit: figure.unit.clone(),
        higher_is_better: figure.higher_is_better(),
        new: rounds.iter().filter_map(|round| value(&round.new, &figure.name)).collect(),
        old: rounds.iter().filter_map(|round| value(&round.old, &figure.name)).collect(),
    };
    first.iter().map(of).collect()
}

impl Comparison {
    /// The ratio of the medians, new to old.
    fn ratio(&self) -> Option<f64> {
        let old = median_of(&self.old)?;
        Some(median_of(&self.new)? / old).filter(|ratio| ratio.is_finite())
    }

    /// The ratios of the rounds. Both values of a round are from the same minutes.
    fn ratios(&self) -> Option<Range> {
        Range::of(self.new.iter().zip(&self.old).map(|(new, old)| new / old).filter(|ratio| ratio.is_finite()))
    }

    const fn better(&self) -> &'static str {
        if self.higher_is_better { "higher" } else { "lower" }
    }
}

fn median_of(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| median(values.to_vec()))
}

fn report(comparison: &Comparison, backend: BackendKind, rounds: usize) {
    println!("{}", row(comparison));
    let range = |values: &[f64]| Range::of(values.iter().copied()).map(|range| [range.lowest, range.highest]);
    let line = serde_json::json!({
        "figure": comparison.name, "backend": backend.name(), "unit": comparison.unit,
        "new": median_of(&comparison.new), "new_range": range(&comparison.new),
        "old": median_of(&comparison.old), "old_range": range(&comparison.old),
        "ratio": comparison.ratio(), "ratio_range": comparison.ratios().map(|range| [range.lowest, range.highest]),
        "better": comparison.better(), "rounds": rounds,
    });
    println!("{line}");
}

/// A line of the table. A value that a program doesn't have is a dash.
fn row(comparison: &Comparison) -> String {
    let Comparison { name, unit, .. } = comparison;
    let value = |values| median_of(values).map_or("–".to_owned(), |value| format!("{value:.1}"));
    let (new, old) = (value(&comparison.new), value(&comparison.old));
    let ratio = comparison.ratio().map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
    let range = comparison.ratios().map_or("–".to_owned(), |it| format!("{:.2} to {:.2}", it.lowest, it.highest));
    format!("{name:<36} {new:>12} {old:>12} {unit:<18} {ratio:>8}   {range:<14} {}", comparison.better())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmarks::BENCHMARKS;

    fn figure(name: &str, value: f64, unit: &str) -> Figure {
        Figure { name: name.into(), value, unit: unit.into() }
    }

    fn round(new: f64, old: f64) -> Round {
        Round { new: vec![figure("drain", new, "calls/s")], old: vec![figure("drain", old, "calls/s")] }
    }

    #[test]
    fn the_ratio_is_that_of_the_medians_and_the_range_that_of_the_rounds() {
        let compared = comparisons(&[round(300.0, 100.0), round(200.0, 100.0), round(250.0, 125.0)]);
        assert_eq!(compared.len(), 1);
        assert_eq!(compared[0].ratio(), Some(2.5));
        assert_eq!(compared[0].ratios(), Some(Range { lowest: 2.0, highest: 3.0 }));
        let row = row(&compared[0]);
        assert_eq!(
            row.split_whitespace().collect::<Vec<_>>(),
            ["drain", "250.0", "100.0", "calls/s", "2.50", "2.00", "to", "3.00", "higher"]
        );
    }

    #[test]
    fn figures_are_paired_by_name() {
        let new = vec![figure("latency p50", 4.0, "µs"), figure("latency p99", 9.0, "µs")];
        let old = vec![figure("latency p99", 18.0, "µs"), figure("latency p50", 16.0, "µs")];
        let compared = comparisons(&[Round { new, old }]);
        let ratios: Vec<_> = compared.iter().map(|it| (&*it.name, it.ratio(), it.better())).collect();
        assert_eq!(ratios, [("latency p50", Some(0.25), "lower"), ("latency p99", Some(0.5), "lower")]);
    }

    #[test]
    fn a_figure_that_the_old_build_lacks_has_no_ratio() {
        let compared = comparisons(&[Round { new: vec![figure("idle", 2.0, "commands a second")], old: Vec::new() }]);
        assert_eq!((compared[0].ratio(), compared[0].ratios()), (None, None));
        let row = row(&compared[0]);
        assert_eq!(
            row.split_whitespace().collect::<Vec<_>>(),
            ["idle", "2.0", "–", "commands", "a", "second", "–", "–", "lower"]
        );
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        let compared = comparisons(&[round(3.0, 0.0)]);
        assert_eq!((compared[0].ratio(), compared[0].ratios()), (None, None));
    }

    #[test]
    fn the_default_benchmarks_exist() {
        for name in REDIS.iter().chain(MEMORY) {
            assert!(BENCHMARKS.iter().any(|benchmark| benchmark.name == *name), "{name}");
        }
    }

    #[test]
    fn only_a_checkout_or_a_program_can_be_compared() {
        let fails = |path: &Path| other_program(path).unwrap_err().to_string();
        let empty = std::env::temp_dir();
        assert!(fails(&empty).contains("it has no crates/pynenc-bench/Cargo.toml. Name the root folder"));
        assert!(fails(&empty.join("absent-checkout")).contains("it doesn't exist. Name the root folder"));
        assert!(fails(Path::new("/bin/sh")).contains("it isn't a program of benchmarks. Name the root folder"));
    }
}
