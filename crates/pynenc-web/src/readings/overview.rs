//! The state of the app at a glance: numbers, queues, activity and alerts.

use std::collections::BTreeMap;

use pynenc_core::orchestrator::Find;
use pynenc_core::{QueueName, Reason, Status, Timestamp};
use pynenc_engine::{AppState, Engine, Result};
use serde::Serialize;
use utoipa::ToSchema;

use super::activity::Activity;
use crate::units::millis;

/// The number of blocked invocations that are counted by queue, and of failed ones that are searched for poison pills.
const EXAMINED: usize = 500;

/// The state of the app at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Overview {
    /// The name of the app.
    pub(crate) app: String,
    pub(crate) at: u64,
    /// The number of invocations in each status that any has.
    #[schema(value_type = std::collections::HashMap<String, u64>)]
    pub(crate) statuses: BTreeMap<Status, u64>,
    pub(crate) queues: Vec<Queue>,
    /// The number of runners that are alive.
    pub(crate) runners: u64,
    /// The number of task functions that they can run at once.
    pub(crate) slots: u64,
    pub(crate) activity: Activity,
    pub(crate) alerts: Vec<Alert>,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Queue {
    pub(crate) name: String,
    /// The number of invocations that wait for a claim, due or not.
    pub(crate) waiting: u64,
    /// The waiting invocations that are due; missing for a queue that isn't among the 50 longest.
    pub(crate) ready: Option<u64>,
    /// The waiting invocations that aren't due yet; missing as `ready`.
    pub(crate) delayed: Option<u64>,
    /// The invocations that are blocked on a concurrency limit, and not counted as waiting; missing if there are too many.
    pub(crate) blocked: Option<u64>,
    /// For how long the oldest ready invocation has been ready; missing if it isn't found yet.
    pub(crate) oldest_ready_ms: Option<u64>,
    /// The number of runners that are alive and serve the queue.
    pub(crate) runners: u64,
}

/// Something that an operator should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Alert {
    /// `no_runner`, `lease_lost`, `poison_pill` or `trigger_paused`.
    #[schema(example = "no_runner")]
    pub(crate) kind: &'static str,
    pub(crate) message: String,
    /// The path of the page that shows it, without the prefix.
    pub(crate) page: String,
}

/// Makes the overview of a reading.
pub(super) async fn overview(app: &Engine, reading: &AppState, activity: Activity) -> Result<Overview> {
    let blocked = blocked(app, reading).await?;
    let queues = queues(reading, blocked.as_ref());
    let alerts = alerts(app, reading, &queues).await?;
    Ok(Overview {
        app: app.settings().app_id.to_string(),
        at: reading.at.as_millis(),
        statuses: reading.statuses.clone().into_iter().filter(|(_, count)| *count > 0).collect(),
        queues,
        runners: reading.alive().count() as u64,
        slots: reading.slots(),
        activity,
        alerts,
    })
}

fn queues(reading: &AppState, blocked: Option<&BTreeMap<QueueName, u64>>) -> Vec<Queue> {
    let mut served: BTreeMap<&QueueName, u64> = BTreeMap::new();
    let introductions = reading.alive().filter_map(|runner| runner.introduction.as_ref());
    introductions.flat_map(|it| &it.queues).for_each(|queue| *served.entry(queue).or_default() += 1);
    let queue = |(name, queue): (&QueueName, &pynenc_engine::QueueGauges)| Queue {
        name: name.to_string(),
        waiting: queue.waiting,
        ready: queue.hints.map(|hints| hints.ready),
        delayed: queue.hints.map(|hints| hints.delayed),
        blocked: blocked.map(|blocked| blocked.get(name).copied().unwrap_or_default()),
        oldest_ready_ms: queue.oldest_ready.map(millis),
        runners: served.get(name).copied().unwrap_or_default(),
    };
    reading.queues.iter().map(queue).collect()
}

/// The numbers of blocked invocations by queue; `None` if there are too many to count them.
async fn blocked(app: &Engine, reading: &AppState) -> Result<Option<BTreeMap<QueueName, u64>>> {
    let mut blocked = BTreeMap::new();
    if reading.statuses.get(&Status::ConcurrencyControlled).is_none_or(|count| *count == 0) {
        return Ok(Some(blocked));
    }
    let find = Find { statuses: vec![Status::ConcurrencyControlled], limit: EXAMINED, ..Find::default() };
    let page = app.parts().orchestrator.find(&find).await?;
    page.items.into_iter().for_each(|item| *blocked.entry(item.queue).or_default() += 1);
    Ok(page.next.is_none().then_some(blocked))
}

async fn alerts(app: &Engine, reading: &AppState, queues: &[Queue]) -> Result<Vec<Alert>> {
    let mut alerts = Vec::new();
    for queue in queues.iter().filter(|queue| queue.runners == 0 && queue.waiting > 0) {
        alerts.push(Alert {
            kind: "no_runner",
            message: format!("no runner serves the queue `{}`, where {} wait", queue.name, counted(queue.waiting)),
            page: "/runners".to_owned(),
        });
    }
    for runner in reading.runners.iter().filter(|runner| !runner.is_alive(reading.at) && runner.owned > 0) {
        let silence = humantime::format_duration(std::time::Duration::from_secs(
            reading.at.since(runner.last_heartbeat).as_secs(),
        ));
        alerts.push(Alert {
            kind: "lease_lost",
            message: format!(
                "the lease of a runner ({}) is lost: it sent its last heartbeat {silence} ago and owned {}",
                runner.description,
                counted(runner.owned)
            ),
            page: format!("/runners/{}", runner.id),
        });
    }
    alerts.extend(poison_pills(app, reading.at).await?);
    #[cfg(feature = "triggers")]
    alerts.extend(paused_triggers(app).await?);
    Ok(alerts)
}

/// An alert for the poison pills of the last hour, among the last failed invocations.
async fn poison_pills(app: &Engine, now: Timestamp) -> Result<Option<Alert>> {
    const RECENT: std::time::Duration = std::time::Duration::from_secs(3600);
    let find = Find { statuses: vec![Status::Failed], newest_first: true, limit: EXAMINED, ..Find::default() };
    let page = app.parts().orchestrator.find(&find).await?;
    let is_recent = |at: Timestamp| now.since(at) < RECENT;
    let pills: Vec<_> = page
        .items
        .into_iter()
        .filter(|item| item.record.reason == Reason::PoisonPill && is_recent(item.record.at))
        .collect();
    Ok(pills.first().map(|pill| Alert {
        kind: "poison_pill",
        message: format!("{} took down their runners within the last hour and are failed", counted(pills.len() as u64)),
        page: format!("/invocations/{}", pill.id),
    }))
}

/// Alerts for the paused triggers.
#[cfg(feature = "triggers")]
async fn paused_triggers(app: &Engine) -> Result<Vec<Alert>> {
    let stored = app.parts().triggers.definitions().await?;
    let paused = stored.into_iter().filter(|trigger| trigger.paused).map(|trigger| trigger.definition.id);
    let alert = |id: Box<str>| Alert {
        kind: "trigger_paused",
        message: format!("the trigger `{id}` is paused"),
        page: format!("/triggers/{}", crate::units::encoded(&id)),
    };
    Ok(paused.map(alert).collect())
}

fn counted(count: u64) -> String {
    if count == 1 { "1 invocation".to_owned() } else { format!("{count} invocations") }
}
