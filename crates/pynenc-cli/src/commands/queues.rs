//! `queues`

use std::collections::BTreeMap;

use comfy_table::Cell;
use pynenc_core::broker::QueueLen;
use pynenc_core::{QueueName, Timestamp};
use pynenc_engine::{Engine, Result};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::screen::{Screen, cell};

struct Queue {
    name: QueueName,
    waiting: u64,
    hints: QueueLen,
    runners: u64,
}

pub(super) async fn list(app: &Engine, screen: &mut Screen) -> Result<Exit> {
    let queues = queues(app).await?;
    let head = ["queue", "waiting", "ready", "delayed", "runners"];
    screen.list(&queues, as_json, (&head, row), "nothing waits, and no runner is alive")?;
    Ok(Exit::Done)
}

/// Every queue in which something waits, or that a living runner serves.
async fn queues(app: &Engine) -> Result<Vec<Queue>> {
    let parts = app.parts();
    let served = served(app).await?;
    let mut waiting = parts.orchestrator.count().await?.queued;
    for name in served.keys() {
        waiting.entry(name.clone()).or_default();
    }
    let mut queues = Vec::with_capacity(waiting.len());
    for (name, waiting) in waiting {
        let (hints, runners) = (parts.broker.len(&name).await?, served.get(&name).copied().unwrap_or_default());
        queues.push(Queue { name, waiting, hints, runners });
    }
    Ok(queues)
}

/// How many living runners serve each queue.
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
