//! Benchmarks of pynenc: a table for people, and one JSON line per measurement for programs.
//!
//! `cargo run --release -p pynenc-bench -- [memory|redis] [benchmark ..]` runs the named benchmarks, or all, on both
//! backends. `growth` measures how cost grows, and `--plots=folder` draws the results. `build` measures a release build
//! once. Every other measurement is the median of several runs, because machines are shared. Compare two programs in
//! the same run, and quote ratios. The Redis backend starts its own server and measures that server's best speed in the
//! same minute.

mod argument_cache;
mod backend;
mod bare_minimum;
mod benchmarks;
mod calls;
mod growth;
mod measurement;
mod parked;
mod plot;
mod release_build;
mod server_cost;
mod statistics;
mod tasks;
mod triggers;
mod worker_process;
mod workflows;

use std::sync::Arc;

use backend::Backend;
use benchmarks::{BENCHMARKS, Benchmark};
use measurement::Measurement;
use statistics::median;

/// The number of runs for a median.
const RUNS: usize = 3;

fn main() -> pynenc::Result<()> {
    if let Some(worked) = worker_process::role() {
        return worked;
    }
    let mut wanted: Vec<String> = std::env::args().skip(1).collect();
    if take(&mut wanted, |word| word == "build").is_some() {
        return release_build::measured().map(|measured| report("build", "this machine", 1, &measured));
    }
    let grows = take(&mut wanted, |word| word == "growth").is_some();
    let backend = take(&mut wanted, |word| matches!(word, "memory" | "redis"));
    let folder = take(&mut wanted, |word| word.starts_with("--plots="));
    let folder = folder.as_deref().and_then(|argument| argument.strip_prefix("--plots="));
    let known = if grows { growth::names() } else { BENCHMARKS.iter().map(|benchmark| benchmark.name).collect() };
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        eprintln!(
            "unknown benchmark `{unknown}`; known: {}. Name it after `growth`, `memory` or `redis`.",
            known.join(", ")
        );
        std::process::exit(2);
    }
    let run = |backend: &dyn Fn() -> Backend| {
        if grows { growth::measure(&wanted, backend, folder) } else { measure_all(&wanted, backend) }
    };
    println!("{:<36} {:>14} {:<18} {:>14}   {:>8}", "figure", "measured", "unit", "target", "of it");
    if backend.as_deref() != Some("redis") {
        run(&|| Backend::Memory)?;
    }
    if backend.as_deref() != Some("memory") {
        run(&Backend::redis)?;
    }
    Ok(())
}

/// Removes and returns the first matching word.
fn take(words: &mut Vec<String>, matches: impl Fn(&str) -> bool) -> Option<String> {
    let index = words.iter().position(|word| matches(word))?;
    Some(words.remove(index))
}

/// Runs the wanted benchmarks, each on a fresh backend.
fn measure_all(wanted: &[String], backend: &dyn Fn() -> Backend) -> pynenc::Result<()> {
    for benchmark in
        BENCHMARKS.iter().filter(|benchmark| wanted.is_empty() || wanted.iter().any(|name| name == benchmark.name))
    {
        let backend = Arc::new(backend());
        if (benchmark.applies)(&backend) {
            if let Backend::Redis(_, reference) = &*backend {
                println!(
                    "{:<36} {:>14.0} SET/s one by one, {:.0} written/s in batches",
                    "  reference", reference.round_trips, reference.batched
                );
            }
            report(benchmark.name, backend.name(), RUNS, &measure(benchmark, &backend)?);
        }
    }
    Ok(())
}

/// Each run has a new runtime, so that no state is left from the last run. It runs as a spawned task, as calls in a
/// server do.
fn measure(benchmark: &Benchmark, backend: &Arc<Backend>) -> pynenc::Result<Vec<Measurement>> {
    let mut runs: Vec<Vec<Measurement>> = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(benchmark.threads)
            .enable_all()
            .build()
            .map_err(pynenc::Error::other)?;
        runs.push(runtime.block_on(runtime.spawn((benchmark.run)(backend.clone()))).map_err(pynenc::Error::other)??);
    }
    let count = runs[0].len();
    let of_all = |index: usize| runs.iter().map(|run| run[index].value).collect();
    Ok((0..count).map(|index| Measurement { value: median(of_all(index)), ..runs[0][index] }).collect())
}

fn report(benchmark: &str, backend: &str, runs: usize, measured: &[Measurement]) {
    for Measurement { name, value, unit, target } in measured {
        let name = format!("{benchmark}{}{name}", if name.is_empty() { "" } else { " " });
        let ratio = if unit.ends_with("/s") { value / target } else { target / value };
        println!("{name:<36} {value:>14.1} {unit:<18} {target:>14.1}   {:>7.0} %", ratio * 100.0);
        let line = serde_json::json!({
            "figure": name, "backend": backend, "value": value, "unit": unit, "target": target, "runs": runs,
        });
        println!("{line}");
    }
}
