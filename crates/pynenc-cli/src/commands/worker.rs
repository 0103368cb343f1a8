//! `worker`

use std::collections::BTreeMap;
use std::time::Duration;

use pynenc_builder::{Pynenc, PynencBuilder};
use pynenc_core::Status;
use pynenc_core::orchestrator::Counts;
use pynenc_engine::Result;
use serde_json::json;

use crate::arguments::Worker;
use crate::console;
use crate::exit::Exit;
use crate::screen::{Screen, cell};

/// How often the summary line is written.
const SECOND: Duration = Duration::from_secs(1);

pub(super) async fn run(builder: PynencBuilder, wanted: &Worker, screen: &mut Screen) -> Result<Exit> {
    let builder = configured(builder, wanted);
    console::log(&builder.logging()?)?;
    let app = builder.build().await?;
    if app.is_worker_process() {
        // Its supervisor has said all there is to say.
        app.run().await?;
        return Ok(Exit::Done);
    }
    introduce(&app, screen)?;
    let summary = (console::is_terminal() && !wanted.quiet).then(|| tokio::spawn(summarize(app.clone())));
    let ran = app.run().await;
    if let Some(summary) = summary {
        summary.abort();
    }
    ran.map(|()| Exit::Done)
}

fn configured(mut builder: PynencBuilder, wanted: &Worker) -> PynencBuilder {
    if let Some(queues) = &wanted.queues {
        builder = builder.argument("runner.queues", queues);
    }
    if let Some(concurrency) = wanted.concurrency {
        builder = builder.argument("runner.concurrency", &concurrency.to_string());
    }
    if let Some(processes) = wanted.processes {
        builder = builder.argument("runner_cls", "ProcessRunner");
        builder = builder.argument("runner.num_processes", &processes.to_string());
    }
    builder
}

/// Says what the worker serves.
fn introduce(app: &Pynenc, screen: &mut Screen) -> Result<()> {
    let settings: BTreeMap<_, _> = app.explain().into_iter().map(|setting| (setting.key, setting.value)).collect();
    let set = |key: &str| settings.get(key).cloned().unwrap_or_default();
    let (runner, tasks) = (&app.settings().runner, app.tasks().all());
    if screen.is_json() {
        let tasks: Vec<_> = tasks.iter().map(|task| task.id().as_str()).collect();
        let json = || {
            json!({
                "app": &*app.settings().app_id,
                "runner": set("runner_cls"),
                "orchestrator": set("orchestrator_cls"),
                "queues": runner.queues,
                "concurrency": runner.concurrency,
                "tasks": tasks,
            })
        };
        return screen.answer(json, String::new);
    }
    screen.say(&format!(
        "{} serves the app `{}`\n  runner   {}, {} at once\n  stores   {}, {}, {}\n  queues   {}\n",
        super::program(),
        app.settings().app_id,
        set("runner_cls"),
        runner.concurrency,
        set("orchestrator_cls"),
        set("broker_cls"),
        set("state_backend_cls"),
        runner.queues.join(", "),
    ))?;
    if tasks.is_empty() {
        return screen.say("No task is linked: `use my_tasks as _;` links a crate of tasks.");
    }
    let rows = tasks.iter().map(|task| {
        let options = task.options();
        vec![cell(task.id()), cell(&options.queue), cell(options.max_retries), cell(options.priority)]
    });
    screen.table(&["task", "queue", "retries", "priority"], rows.collect())
}

/// Writes a line over and over: what waits, what runs, what has been done.
async fn summarize(app: Pynenc) {
    let line = console::line();
    let mut last = None;
    loop {
        match app.parts().orchestrator.count().await {
            Ok(counts) => {
                let ended = ended(&counts);
                line.set_message(summary(&counts, last.map_or(0, |last| ended.saturating_sub(last))));
                last = Some(ended);
            }
            Err(error) => line.set_message(format!("the store can't be asked: {error}")),
        }
        tokio::time::sleep(SECOND).await;
    }
}

fn ended(counts: &Counts) -> u64 {
    counts.statuses.iter().filter(|(status, _)| status.is_final()).map(|(_, count)| count).sum()
}

fn summary(counts: &Counts, rate: u64) -> String {
    let of = |statuses: &[Status]| -> u64 { statuses.iter().filter_map(|status| counts.statuses.get(status)).sum() };
    let waiting: u64 = counts.queued.values().sum();
    let parts = [
        (waiting, "waiting"),
        (of(&[Status::Pending, Status::Running]), "running"),
        (of(&[Status::Paused]), "paused"),
        (of(&[Status::ConcurrencyControlled]), "parked"),
        (of(&[Status::Success]), "succeeded"),
        (of(&[Status::Failed]), "failed"),
    ];
    let shown: Vec<_> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let shown = if shown.is_empty() { "nothing to do".to_owned() } else { shown.join(", ") };
    if rate > 0 { format!("{shown} ({rate}/s)") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_tells_what_there_is() {
        let mut counts = Counts::default();
        assert_eq!(summary(&counts, 0), "nothing to do");
        counts.statuses =
            [(Status::Registered, 7), (Status::Running, 2), (Status::Pending, 1), (Status::Failed, 4)].into();
        counts.queued = [("default".into(), 7)].into();
        assert_eq!(summary(&counts, 35), "7 waiting, 3 running, 4 failed (35/s)");
    }
}
