//! The figures of pynenc: a table for people, and one JSON line a figure for programs.
//!
//! `cargo run --release -p pynenc-bench -- [memory|redis] [figure ..]`; without names, every figure in both places. Each
//! is the median of several runs, because machines are shared; compare two programs in one run, and quote ratios. Over
//! Redis it starts a server of its own, and measures what that could do at best in the same minute.

mod figures;
mod parked;
mod place;
mod shared_argument;
mod triggers;
mod workflows;

use figures::{FIGURES, Figure, Measured};
use place::Place;

/// So many runs make a median.
const RUNS: usize = 3;

fn main() -> pynenc::Result<()> {
    let mut wanted: Vec<String> = std::env::args().skip(1).collect();
    let place = wanted.first().filter(|name| matches!(name.as_str(), "memory" | "redis")).cloned();
    wanted.drain(..usize::from(place.is_some()));
    let known: Vec<_> = FIGURES.iter().map(|figure| figure.name).collect();
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        eprintln!("unknown figure `{unknown}`; known: {}, behind `memory` or `redis`", known.join(", "));
        std::process::exit(2);
    }
    println!("{:<36} {:>14} {:<18} {:>14}   {:>8}", "figure", "measured", "unit", "target", "of it");
    if place.as_deref() != Some("redis") {
        measure_all(&wanted, || Place::Memory)?;
    }
    if place.as_deref() != Some("memory") {
        measure_all(&wanted, Place::redis)?;
    }
    Ok(())
}

/// Measures what is wanted, each figure in a place of its own.
fn measure_all(wanted: &[String], place: impl Fn() -> Place) -> pynenc::Result<()> {
    for figure in FIGURES.iter().filter(|figure| wanted.is_empty() || wanted.iter().any(|name| name == figure.name)) {
        let place = place();
        if (figure.applies)(&place) {
            if let Place::Redis(_, reference) = &place {
                println!(
                    "{:<36} {:>14.0} SET/s one by one, {:.0} written/s in batches",
                    "  reference", reference.round_trips, reference.batched
                );
            }
            report(figure, &place, &measure(figure, &place)?);
        }
    }
    Ok(())
}

/// Every run has a runtime of its own, so that nothing of the last one is left.
fn measure(figure: &Figure, place: &Place) -> pynenc::Result<Vec<Measured>> {
    let mut runs: Vec<Vec<Measured>> = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(figure.threads)
            .enable_all()
            .build()
            .map_err(pynenc::Error::other)?;
        runs.push(runtime.block_on((figure.run)(place))?);
    }
    let count = runs[0].len();
    Ok((0..count).map(|index| median(runs.iter().map(|run| run[index]).collect())).collect())
}

fn median(mut measured: Vec<Measured>) -> Measured {
    measured.sort_by(|a, b| a.value.total_cmp(&b.value));
    measured[measured.len() / 2]
}

fn report(figure: &Figure, place: &Place, measured: &[Measured]) {
    for Measured { what, value, unit, target } in measured {
        let name = format!("{}{}{what}", figure.name, if what.is_empty() { "" } else { " " });
        let ratio = if unit.ends_with("/s") { value / target } else { target / value };
        println!("{name:<36} {value:>14.1} {unit:<18} {target:>14.1}   {:>7.0} %", ratio * 100.0);
        let line = serde_json::json!({
            "figure": name, "backend": place.name(), "value": value, "unit": unit, "target": target, "runs": RUNS,
        });
        println!("{line}");
    }
}
