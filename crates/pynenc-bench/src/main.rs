//! The figures of pynenc: a table for people, and one JSON line a figure for programs.
//!
//! `cargo run --release -p pynenc-bench -- [memory|redis] [figure ..]`; without names, every figure in both places; with
//! `growth`, how some of them grow, drawn into a folder with `--plots=folder`; with `build`, what it takes to build an app,
//! once. Each other figure is the median of several runs, because machines are shared; compare two programs in one run, and
//! quote ratios. Over Redis it starts a server of its own, and measures what that could do at best in the same minute.

mod build;
mod figures;
mod growth;
mod parked;
mod place;
mod plot;
mod shared_argument;
mod triggers;
mod worker_process;
mod workflows;

use std::sync::Arc;

use figures::{FIGURES, Figure, Measured};
use place::Place;

/// So many runs make a median.
const RUNS: usize = 3;

fn main() -> pynenc::Result<()> {
    if let Some(worked) = worker_process::role() {
        return worked;
    }
    let mut wanted: Vec<String> = std::env::args().skip(1).collect();
    if take(&mut wanted, |word| word == "build").is_some() {
        return build::measured().map(|measured| report("build", "this machine", 1, &measured));
    }
    let grows = take(&mut wanted, |word| word == "growth").is_some();
    let place = take(&mut wanted, |word| matches!(word, "memory" | "redis"));
    let folder = take(&mut wanted, |word| word.starts_with("--plots="));
    let folder = folder.as_deref().and_then(|argument| argument.strip_prefix("--plots="));
    let known = if grows { growth::names() } else { FIGURES.iter().map(|figure| figure.name).collect() };
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        eprintln!("unknown figure `{unknown}`; known: {}, behind `growth`, `memory` or `redis`", known.join(", "));
        std::process::exit(2);
    }
    let run = |place: &dyn Fn() -> Place| {
        if grows { growth::measure(&wanted, place, folder) } else { measure_all(&wanted, place) }
    };
    println!("{:<36} {:>14} {:<18} {:>14}   {:>8}", "figure", "measured", "unit", "target", "of it");
    if place.as_deref() != Some("redis") {
        run(&|| Place::Memory)?;
    }
    if place.as_deref() != Some("memory") {
        run(&Place::redis)?;
    }
    Ok(())
}

/// The first word that is meant, taken out of the others.
fn take(words: &mut Vec<String>, is_meant: impl Fn(&str) -> bool) -> Option<String> {
    let place = words.iter().position(|word| is_meant(word))?;
    Some(words.remove(place))
}

/// Measures what is wanted, each figure in a place of its own.
fn measure_all(wanted: &[String], place: &dyn Fn() -> Place) -> pynenc::Result<()> {
    for figure in FIGURES.iter().filter(|figure| wanted.is_empty() || wanted.iter().any(|name| name == figure.name)) {
        let place = Arc::new(place());
        if (figure.applies)(&place) {
            if let Place::Redis(_, reference) = &*place {
                println!(
                    "{:<36} {:>14.0} SET/s one by one, {:.0} written/s in batches",
                    "  reference", reference.round_trips, reference.batched
                );
            }
            report(figure.name, place.name(), RUNS, &measure(figure, &place)?);
        }
    }
    Ok(())
}

/// Every run has a runtime of its own, so that nothing of the last one is left, and is a task in it, as the calls of a
/// server are.
fn measure(figure: &Figure, place: &Arc<Place>) -> pynenc::Result<Vec<Measured>> {
    let mut runs: Vec<Vec<Measured>> = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(figure.threads)
            .enable_all()
            .build()
            .map_err(pynenc::Error::other)?;
        runs.push(runtime.block_on(runtime.spawn((figure.run)(place.clone()))).map_err(pynenc::Error::other)??);
    }
    let count = runs[0].len();
    let of_all = |index: usize| runs.iter().map(|run| run[index].value).collect();
    Ok((0..count).map(|index| Measured { value: median(of_all(index)), ..runs[0][index] }).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn report(figure: &str, place: &str, runs: usize, measured: &[Measured]) {
    for Measured { what, value, unit, target } in measured {
        let name = format!("{figure}{}{what}", if what.is_empty() { "" } else { " " });
        let ratio = if unit.ends_with("/s") { value / target } else { target / value };
        println!("{name:<36} {value:>14.1} {unit:<18} {target:>14.1}   {:>7.0} %", ratio * 100.0);
        let line = serde_json::json!({
            "figure": name, "backend": place, "value": value, "unit": unit, "target": target, "runs": runs,
        });
        println!("{line}");
    }
}
