//! `worker`: runs invocations until the process is stopped.

use std::collections::BTreeMap;
use std::time::Duration;

use pynenc_builder::{Pynenc, PynencBuilder};
use pynenc_core::Status;
use pynenc_core::orchestrator::Counts;
use pynenc_engine::Result;
use serde_json::json;

use crate::arguments::{Worker, program_name};
use crate::exit::Exit;
use crate::output::{Output, cell};
use crate::stderr;

/// How often the summary line is updated. Its rate is the number of completions between two updates.
const UPDATE_INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn run(builder: PynencBuilder, options: &Worker, output: &mut Output) -> Result<Exit> {
    let builder = configure(builder, options);
    stderr::init_logging(&builder.section()?)?;
    let app = builder.build().await?;
    #[cfg(unix)]
    super::systemd::start_reporting(&app);
    if app.is_worker_process() {
        // The supervisor of this process has printed what the worker serves.
        app.run().await?;
        return Ok(Exit::Done);
    }
    print_introduction(&app, output)?;
    let summary = (stderr::is_terminal() && !options.quiet).then(|| tokio::spawn(show_summary(app.clone())));
    let result = app.run().await;
    #[cfg(unix)]
    super::systemd::report_stopped();
    if let Some(summary) = summary {
        summary.abort();
    }
    result.map(|()| Exit::Done)
}

/// Applies the options of the command to the settings.
fn configure(mut builder: PynencBuilder, options: &Worker) -> PynencBuilder {
    if let Some(queues) = &options.queues {
        builder = builder.argument("runner.queues", queues);
    }
    if let Some(concurrency) = options.concurrency {
        builder = builder.argument("runner.concurrency", &concurrency.to_string());
    }
    if let Some(processes) = options.processes {
        builder = builder.argument("runner_cls", "ProcessRunner");
        builder = builder.argument("runner.num_processes", &processes.to_string());
    }
    if let Some(address) = &options.metrics {
        builder = builder.argument("metrics.listen", address);
    }
    builder
}

/// Writes the app, the components, the queues and the tasks of this worker.
fn print_introduction(app: &Pynenc, output: &mut Output) -> Result<()> {
    let settings: BTreeMap<_, _> = app.explain().into_iter().map(|setting| (setting.key, setting.value)).collect();
    let setting = |key: &str| settings.get(key).cloned().unwrap_or_default();
    let (runner, tasks) = (&app.settings().runner, app.tasks().all());
    if output.is_json() {
        let tasks: Vec<_> = tasks.iter().map(|task| task.id().as_str()).collect();
        let json = || {
            json!({
                "app": &*app.settings().app_id,
                "runner": setting("runner_cls"),
                "orchestrator": setting("orchestrator_cls"),
                "queues": runner.queues,
                "concurrency": runner.concurrency,
                "tasks": tasks,
            })
        };
        return output.value(json, String::new);
    }
    output.text(&format!(
        "{} serves the app `{}`\n  runner   {}, {} at once\n  stores   {}, {}, {}\n  queues   {}\n",
        program_name(),
        app.settings().app_id,
        setting("runner_cls"),
        runner.concurrency,
        setting("orchestrator_cls"),
        setting("broker_cls"),
        setting("state_backend_cls"),
        runner.queues.join(", "),
    ))?;
    if tasks.is_empty() {
        return output.text("This program has no tasks. Write `use my_tasks as _;` to link a crate of tasks.");
    }
    let rows = tasks.iter().map(|task| {
        let options = task.options();
        vec![cell(task.id()), cell(&options.queue), cell(options.max_retries), cell(options.priority)]
    });
    output.table(&["task", "queue", "retries", "priority"], rows.collect())
}

/// Updates the summary line until the task is aborted.
async fn show_summary(app: Pynenc) {
    let line = stderr::status_line();
    let mut last = None;
    loop {
        match app.parts().orchestrator.count().await {
            Ok(counts) => {
                let finished = finished(&counts);
                line.set_message(summary(&counts, last.map_or(0, |last| finished.saturating_sub(last))));
                last = Some(finished);
            }
            Err(error) => line.set_message(format!("can't read the counts of the store: {error}")),
        }
        tokio::time::sleep(UPDATE_INTERVAL).await;
    }
}

/// Counts the finished invocations.
fn finished(counts: &Counts) -> u64 {
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
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, state)| format!("{count} {state}")).collect();
    let shown = if shown.is_empty() { "nothing to do".to_owned() } else { shown.join(", ") };
    if rate > 0 { format!("{shown} ({rate}/s)") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_invocations_by_state() {
        let mut counts = Counts::default();
        assert_eq!(summary(&counts, 0), "nothing to do");
        counts.statuses =
            [(Status::Registered, 7), (Status::Running, 2), (Status::Pending, 1), (Status::Failed, 4)].into();
        counts.queued = [("default".into(), 7)].into();
        assert_eq!(summary(&counts, 35), "7 waiting, 3 running, 4 failed (35/s)");
    }
}
