//! Runs benchmarks and prints their measurements.

use std::sync::Arc;

use pynenc::prelude::*;

use crate::backend::{Backend, BackendKind};
use crate::benchmarks::{BENCHMARKS, Benchmark};
use crate::measurement::Measurement;
use crate::statistics::median;

/// The number of runs for a median.
const RUNS: usize = 3;

/// Runs the wanted benchmarks, or all, each on a fresh backend.
pub(crate) fn all(wanted: &[String], backend: BackendKind) -> Result<()> {
    for benchmark in
        BENCHMARKS.iter().filter(|benchmark| wanted.is_empty() || wanted.iter().any(|name| name == benchmark.name))
    {
        let backend = Arc::new(backend.start());
        if (benchmark.applies)(&backend) {
            if let Backend::Redis(_, reference) = &*backend {
                println!(
                    "{:<36} {:>14.0} SET/s one by one, {:.0} written/s in batches",
                    "  reference", reference.round_trips, reference.batched
                );
            }
            if let Backend::Sqlite(_, bare) = &*backend {
                println!(
                    "{:<36} {:>14.0} bare submits/s, {:.0} and {:.0} in batches of 64 and 500, {:.0} bare drained/s",
                    "  reference", bare.single, bare.batches_of_64, bare.batches_of_500, bare.drain
                );
            }
            report(benchmark.name, backend.name(), RUNS, &medians(benchmark, &backend)?);
        }
    }
    Ok(())
}

fn medians(benchmark: &Benchmark, backend: &Arc<Backend>) -> Result<Vec<Measurement>> {
    let runs: Vec<_> = (0..RUNS).map(|_| once(benchmark, backend)).collect::<Result<_>>()?;
    let medians = |of: fn(&Measurement) -> f64, index: usize| {
        median(runs.iter().map(|run: &Vec<Measurement>| of(&run[index])).collect())
    };
    let measured = |index| Measurement {
        value: medians(|it| it.value, index),
        target: medians(|it| it.target, index),
        ..runs[0][index]
    };
    Ok((0..runs[0].len()).map(measured).collect())
}

/// Runs a benchmark. Each run has a new runtime, so that no state is left from the last run. It runs as a spawned task,
/// as calls in a server do.
pub(crate) fn once(benchmark: &Benchmark, backend: &Arc<Backend>) -> Result<Vec<Measurement>> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(benchmark.threads).enable_all().build().map_err(Error::other)?;
    runtime.block_on(runtime.spawn((benchmark.run)(backend.clone()))).map_err(Error::other)?
}

/// Prints a line for people and a line of JSON for each measurement.
pub(crate) fn report(benchmark: &str, backend: &str, runs: usize, measured: &[Measurement]) {
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
