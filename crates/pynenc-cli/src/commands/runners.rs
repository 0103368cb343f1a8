//! `runners`: lists the runners with their state, queues and number of owned invocations.

use comfy_table::Cell;
use pynenc_core::orchestrator::{Introduction, RunnerInfo};
use pynenc_core::{QueueName, TaskId, Timestamp};
use pynenc_engine::{Engine, Result};
use serde_json::{Value, json};

use crate::arguments::Runners;
use crate::exit::Exit;
use crate::output::{Output, cell, duration};

pub(super) async fn list(app: &Engine, options: &Runners, output: &mut Output) -> Result<Exit> {
    let (runners, now) = (app.parts().orchestrator.runners().await?, app.parts().clock.now());
    let mut head = vec!["id", "state", "heard", "owns", "slots", "queues", "where"];
    head.extend(options.tasks.then_some("tasks"));
    let row = |runner: &RunnerInfo| row(runner, now, options.tasks);
    output.list(
        &runners,
        |runner| as_json(runner, now),
        (&head, row),
        "no runner is alive; start one with `worker`",
    )?;
    Ok(Exit::Done)
}

fn row(runner: &RunnerInfo, now: Timestamp, with_tasks: bool) -> Vec<Cell> {
    let introduction = runner.introduction.as_ref();
    let listed = |names: Vec<&str>| cell(names.join(", "));
    let mut row = vec![
        cell(runner.id),
        cell(runner.state(now)),
        cell(format!("{} ago", duration(now.since(runner.last_heartbeat)))),
        cell(runner.owned),
        cell(introduction.map(|it| it.slots.to_string()).unwrap_or_default()),
        listed(introduction.map(queues).unwrap_or_default()),
        cell(&runner.description),
    ];
    row.extend(with_tasks.then(|| listed(introduction.map(tasks).unwrap_or_default())));
    row
}

fn queues(introduction: &Introduction) -> Vec<&str> {
    introduction.queues.iter().map(QueueName::as_str).collect()
}

fn tasks(introduction: &Introduction) -> Vec<&str> {
    introduction.tasks.iter().map(TaskId::as_str).collect()
}

fn as_json(runner: &RunnerInfo, now: Timestamp) -> Value {
    json!({
        "id": runner.id,
        "state": runner.state(now),
        "last_heartbeat": runner.last_heartbeat,
        "lease_ms": u64::try_from(runner.lease.as_millis()).unwrap_or(u64::MAX),
        "owned": runner.owned,
        "where": runner.description,
        "serves": runner.introduction,
    })
}
