//! How cost grows: the same figures at several sizes of one thing.

use std::pin::Pin;
use std::time::{Duration, Instant};

use pynenc::core::orchestrator::Find;
use pynenc::prelude::*;

use crate::figures::add;
use crate::median;
use crate::place::Place;
use crate::plot::{self, Line, Plot};
use crate::worker_process::WorkerProcess;

/// Calls that are drained, or submitted, to see how fast that is.
const CALLS: usize = 10_000;
/// Calls that are waited for one by one.
const WAITED_FOR: usize = 1_000;
/// Each size is measured so often, in turns.
const ROUNDS: usize = 3;

/// One thing that grows.
struct Series {
    name: &'static str,
    /// What grows, as it is called beside a plot.
    axis: &'static str,
    sizes: &'static [usize],
    run: for<'a> fn(&'a Place, usize) -> Run<'a>,
    applies: fn(&Place) -> bool,
}

type Run<'a> = Pin<Box<dyn Future<Output = Result<Vec<Reading>>> + 'a>>;

/// A number of one size.
struct Reading {
    what: &'static str,
    value: f64,
    unit: &'static str,
}

const SERIES: &[Series] = &[
    Series {
        name: "queued",
        axis: "invocations queued",
        sizes: &[10_000, 100_000, 1_000_000],
        run: |place, size| Box::pin(queued(place, size)),
        applies: |_| true,
    },
    Series {
        name: "listings",
        axis: "invocations waiting",
        sizes: &[30_000, 100_000, 1_000_000],
        run: |place, size| Box::pin(listings(place, size)),
        applies: |_| true,
    },
    Series {
        name: "kept",
        axis: "invocations finished and kept",
        sizes: &[0, 10_000, 100_000],
        run: |place, size| Box::pin(kept(place, size)),
        applies: |_| true,
    },
    Series {
        name: "workers",
        axis: "worker processes",
        sizes: &[1, 2, 4],
        run: |place, size| Box::pin(workers(place, size)),
        applies: |place| matches!(place, Place::Redis(..)),
    },
    Series {
        name: "slots",
        axis: "slots of one worker",
        sizes: &[1, 8, 64],
        run: |place, size| Box::pin(slots(place, size)),
        applies: |_| true,
    },
    Series {
        name: "arguments",
        axis: "bytes of an argument",
        sizes: &[100, 1_000, 10_000, 100_000],
        run: |place, size| Box::pin(arguments(place, size)),
        applies: |_| true,
    },
];

#[task]
pub(crate) async fn length_of(text: String) -> usize {
    text.len()
}

/// Measures the series of these names, or all, and draws a plot of each into a folder, if there is one.
pub(crate) fn measure(wanted: &[String], place: &dyn Fn() -> Place, folder: Option<&str>) -> Result<()> {
    for series in SERIES.iter().filter(|series| wanted.is_empty() || wanted.iter().any(|name| name == series.name)) {
        let place = place();
        if (series.applies)(&place) {
            let lines = lines(series, &place)?;
            if let Some(folder) = folder {
                draw(series, &place, lines, folder)?;
            }
        }
    }
    Ok(())
}

pub(crate) fn names() -> Vec<&'static str> {
    SERIES.iter().map(|series| series.name).collect()
}

/// Every size once a round, so that a machine that gets slower is so for all.
fn lines(series: &Series, place: &Place) -> Result<Vec<Line>> {
    let mut rounds: Vec<Vec<Vec<Reading>>> = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(series.sizes.iter().map(|size| measured(series, place, *size)).collect::<Result<_>>()?);
    }
    let readings = rounds[0][0].len();
    let line = |index: usize| {
        let Reading { what, unit, .. } = rounds[0][0][index];
        let of_size =
            |size: usize| median(rounds.iter().map(|round: &Vec<Vec<Reading>>| round[size][index].value).collect());
        Line { what, unit, values: (0..series.sizes.len()).map(of_size).collect() }
    };
    let lines: Vec<_> = (0..readings).map(line).collect();
    lines.iter().for_each(|line| report(series, place, line));
    Ok(lines)
}

fn measured(series: &Series, place: &Place, size: usize) -> Result<Vec<Reading>> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().map_err(Error::other)?;
    runtime.block_on((series.run)(place, size))
}

fn report(series: &Series, place: &Place, line: &Line) {
    for (size, value) in series.sizes.iter().zip(&line.values) {
        let name = format!("{} {size}: {}", series.name, line.what);
        println!("{name:<36} {value:>14.1} {:<18} {:>7.0} % of the first", line.unit, 100.0 * value / line.values[0]);
        let line = serde_json::json!({
            "series": series.name, "backend": place.name(), "size": size, "figure": line.what, "value": value,
            "unit": line.unit, "runs": ROUNDS,
        });
        println!("{line}");
    }
}

fn draw(series: &Series, place: &Place, lines: Vec<Line>, folder: &str) -> Result<()> {
    let path = format!("{folder}/{}-{}.svg", series.name, place.name());
    let title = format!("{}, {}", series.axis, if place.name() == "redis" { "Redis" } else { "memory" });
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

fn per_second(what: &'static str, calls: usize, start: Instant) -> Reading {
    Reading { what, value: calls as f64 / start.elapsed().as_secs_f64(), unit: "calls/s" }
}

/// Submits and the first ends beside a backlog of that size.
async fn queued(place: &Place, size: usize) -> Result<Vec<Reading>> {
    let app = place.app().await?;
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

/// The first page of listings beside so many that wait, of which twenty were cancelled before, and a cancel of many more.
async fn listings(place: &Place, size: usize) -> Result<Vec<Reading>> {
    let app = place.app().await?;
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
    for (what, find) in &questions {
        let start = Instant::now();
        app.parts().orchestrator.find(find).await.map_err(Error::other)?;
        readings.push(Reading { what, value: start.elapsed().as_secs_f64() * 1e3, unit: "ms" });
    }
    let group = app.submit_all((0..2 * CALLS).map(|n| add(n as u64, 1).delay(hours(1)))).await?;
    let start = Instant::now();
    group.cancel().await?;
    readings.push(Reading { what: "cancel of 20,000", value: start.elapsed().as_secs_f64() * 1e3, unit: "ms" });
    Ok(readings)
}

/// Calls beside so many that have ended and are kept.
async fn kept(place: &Place, size: usize) -> Result<Vec<Reading>> {
    let app = place.app().await?;
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
    Ok(vec![submitted, drained, Reading { what: "submit to result", value: waited, unit: "µs" }])
}

/// From the first submit to the last end, with so many processes that work.
async fn workers(place: &Place, size: usize) -> Result<Vec<Reading>> {
    let app = place.app().await?;
    let workers: Vec<_> = (0..size).map(|_| WorkerProcess::start(place)).collect();
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

/// A backlog and one worker with so many slots.
async fn slots(place: &Place, size: usize) -> Result<Vec<Reading>> {
    const BACKLOG: usize = 5_000;
    let app = place.builder().tasks(tasks![add]).set("runner.concurrency", size).build().await?;
    submit(&app, BACKLOG).await?;
    let start = Instant::now();
    let runner = app.start_runner().await?;
    until(&app, BACKLOG).await?;
    let drained = per_second("drain", BACKLOG, start);
    runner.shutdown().await?;
    Ok(vec![drained])
}

/// Calls with arguments of so many bytes, each another one.
async fn arguments(place: &Place, size: usize) -> Result<Vec<Reading>> {
    const BATCH: usize = 100;
    let app = place.builder().tasks(tasks![length_of]).build().await?;
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

/// A text of so many bytes, which differs from the others.
fn text_of(size: usize, number: usize) -> String {
    let mut text = number.to_string();
    text.extend(std::iter::repeat_n('x', size - text.len()));
    text
}
