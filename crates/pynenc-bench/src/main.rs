//! The figures of pynenc: a table for people, and one JSON line a figure for programs.
//!
//! `cargo run --release -p pynenc-bench -- [figure ..]`; without a name, every figure. Each is the median of several
//! runs, because machines are shared; compare two programs in one run, and quote ratios.

mod figures;
mod parked;
mod shared_argument;

use figures::{FIGURES, Figure, Measured};

/// So many runs make a median.
const RUNS: usize = 5;

fn main() -> pynenc::Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let known: Vec<_> = FIGURES.iter().map(|figure| figure.name).collect();
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        eprintln!("unknown figure `{unknown}`; known: {}", known.join(", "));
        std::process::exit(2);
    }
    println!("{:<28} {:>14} {:<12} {:>14}   {:>8}", "figure", "measured", "unit", "target", "of it");
    for figure in FIGURES.iter().filter(|figure| wanted.is_empty() || wanted.iter().any(|name| name == figure.name)) {
        report(figure, &measure(figure)?);
    }
    Ok(())
}

/// Every run has a runtime of its own, so that nothing of the last one is left.
fn measure(figure: &Figure) -> pynenc::Result<Vec<Measured>> {
    let mut runs: Vec<Vec<Measured>> = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(figure.threads)
            .enable_all()
            .build()
            .map_err(pynenc::Error::other)?;
        runs.push(runtime.block_on((figure.run)())?);
    }
    let count = runs[0].len();
    Ok((0..count).map(|index| median(runs.iter().map(|run| run[index]).collect())).collect())
}

fn median(mut measured: Vec<Measured>) -> Measured {
    measured.sort_by(|a, b| a.value.total_cmp(&b.value));
    measured[measured.len() / 2]
}

fn report(figure: &Figure, measured: &[Measured]) {
    for Measured { what, value, unit, target } in measured {
        let name = format!("{}{}{what}", figure.name, if what.is_empty() { "" } else { " " });
        let ratio = if unit.ends_with("/s") { value / target } else { target / value };
        println!("{name:<28} {value:>14.1} {unit:<12} {target:>14.1}   {:>7.0} %", ratio * 100.0);
        let line = serde_json::json!({
            "figure": name, "backend": figure.backend, "value": value, "unit": unit, "target": target, "runs": RUNS,
        });
        println!("{line}");
    }
}
