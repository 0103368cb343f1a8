//! Measures how cost grows: the same benchmark at several sizes.

use std::pin::Pin;
use std::time::{Duration, Instant};

use pynenc::core::orchestrator::Find;
use pynenc::prelude::*;

use crate::backend::{Backend, BackendKind};
use crate::plot::{self, Line, Plot};
use crate::statistics::median;
use crate::tasks::add;
use crate::worker_process::WorkerProcess;

/// The number of drained or submitted calls of a throughput measurement.
const CALLS: usize = 10_000;
/// The number of calls that are awaited one by one.
const WAITED_FOR: usize = 1_000;
/// The number of measurements of each size, in turns.
const ROUNDS: usize = 3;

/// A series of measurements with one growing size.
struct Series {
    name: &'static str,
    /// The name of the size on a plot's axis.
    axis: &'static str,
    sizes: &'static [usize],
    run: for<'a> fn(&'a Backend, usize) -> Run<'a>,
    applies: fn(&Backend) -> bool,
}

type Run<'a> = Pin<Box<dyn Future<Output = Result<Vec<Reading>>> + 'a>>;

/// A measurement at one size.
struct Reading {
    name: &'static str,
    value: f64,
    unit: &'static str,
}

const SERIES: &[Series] = &[
    Series {
        name: "queued",
        axis: "invocations queued",
        sizes: &[10_000, 100_000, 1_000_000],
        run: |backend, size| Box::pin(queued(backend, size)),
        applies: |_| true,
    },
    Series {
        name: "listings",
        axis: "invocations waiting",
        sizes: &[30_000, 100_000, 1_000_000],
        run: |backend, size| Box::pin(listings(backend, size)),
        applies: |_| true,
    },
    Series {
        name: "kept",
        axis: "invocations finished and kept",
        sizes: &[0, 10_000, 100_000],
        run: |backend, size| Box::pin(kept(backend, size)),
        applies: |_| true,
    },
    Series {
        name: "workers",
        axis: "worker processes",
        sizes: &[1, 2, 4],
        run: |backend, size| Box::pin(workers(backend, size)),
        applies: |backend| matches!(backend, Backend::Redis(..)),
    },
    Series {
        name: "slots",
        axis: "slots of one worker",
        sizes: &[1, 8, 64],
        run: |backend, size| Box::pin(slots(backend, size)),
        applies: |_| true,
    },
    Series {
        name: "arguments",
        axis: "bytes of an argument",
        sizes: &[100, 1_000, 10_000, 100_000],
        run: |backend, size| Box::pin(arguments(backend, size)),
        applies: |_| true,
    },
];

#[task]
pub(crate) async fn length_of(text: String) -> usize {
    text.len()
}

/// Measures the named series, or all, and draws each into the folder if there is one.
pub(crate) fn measure(wanted: &[String], backend: BackendKind, folder: Option<&str>) -> Result<()> {
    for series in SERIES.iter().filter(|series| wanted.is_empty() || wanted.iter().any(|name| name == series.name)) {
        let backend = backend.start();
        if (series.applies)(&backend) {
            let lines = lines(series, &backend)?;
            if let Some(folder) = folder {
                draw(series, &backend, lines, folder)?;
            }
        }
    }
    Ok(())
}

pub(crate) fn names() -> Vec<&'static str> {
    SERIES.iter().map(|series| series.name).collect()
}

/// Measures every size once per round, so that a machine that slows down affects all sizes alike.
fn lines(series: &Series, backend: &Backend) -> Result<Vec<Line>> {
    let mut rounds: Vec<Vec<Vec<Reading>>> = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(series.sizes.iter().map(|size| measured(series, backend, *size)).collect::<Result<_>>()?);
    }
    let readings = rounds[0][0].len();
    let line = |index: usize| {
        let Reading { name, unit, .. } = rounds[0][0][index];
        let of_size =
            |size: usize| median(rounds.iter().map(|round: &Vec<Vec<Reading>>| round[size][index].value).collect());
        Line { name, unit, values: (0..series.sizes.len()).map(of_size).collect() }
    };
    let lines: Vec<_> = (0..readings).map(line).collect();
    lines.iter().for_each(|line| report(series, backend, line));
    Ok(lines)
}

fn measured(series: &Series, backend: &Backend, size: usize) -> Result<Vec<Reading>> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().map_err(Error::other)?;
    runtime.block_on((series.run)(backend, size))
}

fn report(series: &Series, backend: &Backend, line: &Line) {
    for (size, value) in series.sizes.iter().zip(&line.values) {
        let name = format!("{} {size}: {}", series.name, line.name);
        println!("{name:<36} {value:>14.1} {:<18} {:>7.0} % of the first", line.unit, 100.0 * value / line.values[0]);
        let line = serde_json::json!({
            "series": series.name, "backend": backend.name(), "size": size, "figure": line.name, "value": value,
            "unit": line.unit, "runs": ROUNDS,
        });
        println!("{line}");
    }
}

fn draw(series: &Series, backend: &Backend, lines: Vec<Line>, folder: &str) -> Result<()> {
    let path = format!("{folder}/{}-{}.svg", series.name, backend.name());
    let title = format!("{}, {}", series.axis, backend.name());
    plot::draw(&path, &Plot { title, axis: series.axis, sizes: series.sizes, lines })
}

async fn submit(app: &Pynenc, calls: usize) -> Result<()> {
    for first in (0..calls).step_by(1000) {
        app.submit_all((first..calls.min(first + 1000)).map(|n| add(n as u64, 1))).await?;
    }
    Ok(())
}

async fn until(app: &Pynenc, finished: usize) -> Result<()> {
    while app.count(Status::Success).await? < finished as u64 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

fn per_second(name: &'static str, calls: usize, start: Instant) -> Reading {
    Reading { name, value: calls as f64 / start.elapsed().as_secs_f64(), unit: "calls/s" }
}

/// Submits and drains `CALLS` calls beside a backlog of this size.
async fn queued(backend: &Backend, size: usize) -> Result<Vec<Reading>> {
    let app = backend.app().await?;
    submit(&app, size - CALLS).await?;
    let start = Instant::now();
    submit(&app, CALLS).await?;
    let submitted = per_second("submit_all", CALLS, start);
    let start = Instant::now();
    let runner = app.start_runner().await?;
    until(&app, CALLS).await?;
    let drained = per_second("drain", CALLS, start);
    runner.shutdown().await?;
    Ok(vec![submitted, drained])
}

/// Lists first pages beside this many waiting invocations, 20 of them cancelled, and cancels 20,000 more.
async fn listings(backend: &Backend, size: usize) -> Result<Vec<Reading>> {
    let app = backend.app().await?;
    for call in 0..20 {
        app.submit(add(call, 1)).await?.cancel().await?;
    }
    submit(&app, size - 2 * CALLS).await?;
    let newest = || Find { newest_first: true, limit: 50, ..Find::default() };
    let questions = [
        ("page of all", newest()),
        ("page of cancelled", Find { statuses: vec![Status::Cancelled], ..newest() }),
        ("page of failed, of which there is none", Find { statuses: vec![Status::Failed], ..newest() }),
        ("page of a task that isn't there", Find { task: Some("absent".into()), ..newest() }),
    ];
    let mut readings = Vec::new();
    for (name, find) in &questions {
        let start = Instant::now();
        app.parts().orchestrator.find(find).await.map_err(Error::other)?;
        readings.push(Reading { name, value: start.elapsed().as_secs_f64() * 1e3, unit: "ms" });
    }
    let group = app.submit_all((0..2 * CALLS).map(|n| add(n as u64, 1).delay(hours(1)))).await?;
    let start = Instant::now();
    group.cancel().await?;
    readings.push(Reading { name: "cancel of 20,000", value: start.elapsed().as_secs_f64() * 1e3, unit: "ms" });
    Ok(readings)
}

/// Calls beside this many finished and retained invocations.
async fn kept(backend: &Backend, size: usize) -> Result<Vec<Reading>> {
    let app = backend.app().await?;
    let runner = app.start_runner().await?;
    submit(&app, size).await?;
    until(&app, size).await?;
    let start = Instant::now();
    for n in 0..WAITED_FOR {
        app.submit(add(n as u64, 1)).await?.result().await?;
    }
    let waited = start.elapsed().as_secs_f64() * 1e6 / WAITED_FOR as f64;
    runner.shutdown().await?;
    let start = Instant::now();
    submit(&app, CALLS).await?;
    let submitted = per_second("submit_all", CALLS, start);
    let start = Instant::now();
    let runner = app.start_runner().await?;
    until(&app, size + WAITED_FOR + CALLS).await?;
    let drained = per_second("drain", CALLS, start);
    runner.shutdown().await?;
    Ok(vec![submitted, drained, Reading { name: "submit to result", value: waited, unit: "µs" }])
}

/// The time from the first submit to the last completion with this many worker processes.
async fn workers(backend: &Backend, size: usize) -> Result<Vec<Reading>> {
    let app = backend.app().await?;
    let workers: Vec<_> = (0..size).map(|_| WorkerProcess::start(backend)).collect();
    while app.parts().orchestrator.runners().await?.len() < size {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let start = Instant::now();
    submit(&app, 2 * CALLS).await?;
    until(&app, 2 * CALLS).await?;
    let worked = per_second("submit_all and drain", 2 * CALLS, start);
    drop(workers);
    Ok(vec![worked])
}

/// Drains a backlog with this many slots.
async fn slots(backend: &Backend, size: usize) -> Result<Vec<Reading>> {
    const BACKLOG: usize = 5_000;
    let app = backend.builder().tasks(tasks![add]).set("runner.concurrency", size).build().await?;
    submit(&app, BACKLOG).await?;
    let start = Instant::now();
    let runner = app.start_runner().await?;
    until(&app, BACKLOG).await?;
    let drained = per_second("drain", BACKLOG, start);
    runner.shutdown().await?;
    Ok(vec![drained])
}

/// Calls with distinct arguments of this many bytes.
async fn arguments(backend: &Backend, size: usize) -> Result<Vec<Reading>> {
    const BATCH: usize = 100;
    let app = backend.builder().tasks(tasks![length_of]).build().await?;
    let calls = (50_000_000 / size).clamp(BATCH, CALLS);
    let start = Instant::now();
    for batch in 0..calls / BATCH {
        app.submit_all((0..BATCH).map(|n| length_of(text_of(size, batch * BATCH + n)))).await?;
    }
    let submitted = per_second("submit_all", calls, start);
    let start = Instant::now();
    let runner = app.start_runner().await?;
    until(&app, calls).await?;
    let drained = per_second("drain", calls, start);
    runner.shutdown().await?;
    Ok(vec![submitted, drained])
}

/// A text of this many bytes that contains the number.
fn text_of(size: usize, number: usize) -> String {
    let mut text = number.to_string();
    text.extend(std::iter::repeat_n('x', size - text.len()));
    text
}
