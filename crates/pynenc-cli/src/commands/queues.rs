//! `queues`: lists each queue with its waiting invocations, its hints, and the runners that serve it.

use std::collections::BTreeMap;

use comfy_table::Cell;
use pynenc_core::broker::QueueState;
use pynenc_core::{QueueName, Timestamp};
use pynenc_engine::{Engine, Result};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::output::{Output, cell};

struct Queue {
    name: QueueName,
    waiting: u64,
    hints: QueueState,
    runners: u64,
}

pub(super) async fn list(app: &Engine, output: &mut Output) -> Result<Exit> {
    let queues = queues(app).await?;
    let head = ["queue", "waiting", "ready", "delayed", "runners"];
    output.list(&queues, as_json, (&head, row), "no invocation is waiting, and no runner is alive")?;
    Ok(Exit::Done)
}

/// Returns the queues that have waiting invocations or a live runner.
async fn queues(app: &Engine) -> Result<Vec<Queue>> {
    let parts = app.parts();
    let served = served(app).await?;
    let mut waiting = parts.orchestrator.count().await?.queued;
    for name in served.keys() {
        waiting.entry(name.clone()).or_default();
    }
    let mut queues = Vec::with_capacity(waiting.len());
    for (name, waiting) in waiting {
        let (hints, runners) = (parts.broker.queue(&name, None).await?, served.get(&name).copied().unwrap_or_default());
        queues.push(Queue { name, waiting, hints, runners });
    }
    Ok(queues)
}

/// Counts the live runners of each queue.
pub(super) async fn served(app: &Engine) -> Result<BTreeMap<QueueName, u64>> {
    let now: Timestamp = app.parts().clock.now();
    let mut served = BTreeMap::new();
    for runner in app.parts().orchestrator.runners().await? {
        let alive = runner.is_alive(now);
        let queues = runner.introduction.into_iter().filter(|_| alive).flat_map(|it| it.queues);
        queues.for_each(|queue| *served.entry(queue).or_default() += 1);
    }
    Ok(served)
}

fn row(queue: &Queue) -> Vec<Cell> {
    let Queue { name, waiting, hints, runners } = queue;
    vec![cell(name), cell(waiting), cell(hints.ready), cell(hints.delayed), cell(runners)]
}

fn as_json(queue: &Queue) -> Value {
    let Queue { name, waiting, hints, runners } = queue;
    json!({"queue": name, "waiting": waiting, "ready": hints.ready, "delayed": hints.delayed, "runners": runners})
}
