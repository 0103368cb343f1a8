//! `check`

use std::time::Instant;

use comfy_table::{Cell, Color};
#[cfg(feature = "triggers")]
use pynenc_builder::backends::pynenc_triggers::TriggersExt;
use pynenc_builder::{Pynenc, PynencBuilder};
use pynenc_core::QueueName;
use pynenc_core::config::LoggingConfig;
use pynenc_engine::{Error, Result};
use serde_json::{Value, json};

use super::{is_in_memory, queues};
use crate::arguments::Check;
use crate::console;
use crate::exit::Exit;
use crate::screen::{Screen, cell, length};

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Good,
    Doubt,
    Fault,
}

struct Finding {
    weight: Weight,
    what: &'static str,
    told: String,
}

impl Finding {
    fn good(what: &'static str, told: impl Into<String>) -> Self {
        Self { weight: Weight::Good, what, told: told.into() }
    }

    fn doubt(what: &'static str, told: impl Into<String>) -> Self {
        Self { weight: Weight::Doubt, what, told: told.into() }
    }

    fn fault(what: &'static str, error: &Error, advice: &str) -> Self {
        Self { weight: Weight::Fault, what, told: format!("{error}; {advice}") }
    }
}

pub(super) async fn check(builder: PynencBuilder, wanted: &Check, screen: &mut Screen) -> Result<Exit> {
    console::log(&LoggingConfig { level: "off".into(), ..LoggingConfig::default() })?;
    let mut findings = Vec::new();
    let exit = findings_of(builder, &mut findings).await;
    screen.list(&findings, as_json, (&["", "what", "finding"], row), "nothing was looked at")?;
    let has_doubts = findings.iter().any(|finding| finding.weight == Weight::Doubt);
    Ok(if exit == Exit::Done && wanted.strict && has_doubts { Exit::Failed } else { exit })
}

/// Looks at one thing behind the other, as far as it makes sense.
async fn findings_of(builder: PynencBuilder, findings: &mut Vec<Finding>) -> Exit {
    match builder.explain() {
        Ok(settings) => findings.push(Finding::good("settings", format!("{} are understood", settings.len()))),
        Err(error) => {
            findings.push(Finding::fault("settings", &error, "`config` shows what was read from where"));
            return Exit::Config;
        }
    }
    let begun = Instant::now();
    let app = match builder.build().await {
        Ok(app) => app,
        Err(error @ Error::Unavailable { .. }) => {
            let advice = "start the server, or set its address (`redis.redis_url`, or `redis.redis_host` and `redis.redis_port`)";
            findings.push(Finding::fault("stores", &error, advice));
            return Exit::Unavailable;
        }
        Err(error) => {
            findings.push(Finding::fault("app", &error, "mend the setting that it names"));
            return Exit::Config;
        }
    };
    match look(&app, begun, findings).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            findings.push(Finding::fault("stores", &error, "the server answers, but not to this"));
            Exit::Failed
        }
    }
}

async fn look(app: &Pynenc, begun: Instant, findings: &mut Vec<Finding>) -> Result<()> {
    let orchestrator = &app.parts().orchestrator;
    let waiting = orchestrator.count().await?.queued;
    if is_in_memory(app) {
        findings.push(Finding::doubt(
            "stores",
            "everything is in the memory of one process, and ends with it; for several, choose the Redis components",
        ));
    } else {
        findings.push(Finding::good("stores", format!("reached in {}", length(begun.elapsed()))));
        match orchestrator.weaknesses().await?.join("; ") {
            faults if faults.is_empty() => findings.push(Finding::good("durability", "what is acknowledged is kept")),
            faults => findings.push(Finding::doubt("durability", faults)),
        }
    }
    findings.push(tasks(app));
    schedules(app, findings).await?;
    if let Err(error) = app.check_requirements() {
        findings.push(Finding::doubt("states", format!("a worker of this program wouldn't start: {error}")));
    }
    let served = queues::served(app).await?;
    for (queue, count) in waiting.into_iter().filter(|(queue, _)| !served.contains_key(queue)) {
        let told = format!("{count} wait in `{queue}`, which no living runner serves; start `worker --queues {queue}`");
        findings.push(Finding::doubt("queues", told));
    }
    if !served.is_empty() {
        let names: Vec<_> = served.keys().map(QueueName::as_str).collect();
        findings.push(Finding::good("runners", format!("alive, and serving {}", names.join(", "))));
    } else if !is_in_memory(app) {
        findings.push(Finding::doubt("runners", "none is alive; start one with `worker`"));
    }
    Ok(())
}

fn tasks(app: &Pynenc) -> Finding {
    match app.tasks().all().len() {
        0 => Finding::doubt(
            "tasks",
            "this program knows none, and so can run nothing: `use my_tasks as _;` links a crate of tasks",
        ),
        count => Finding::good("tasks", format!("{count} are linked")),
    }
}

/// Warns of cron texts that mean another thing elsewhere.
#[cfg(feature = "triggers")]
async fn schedules(app: &Pynenc, findings: &mut Vec<Finding>) -> Result<()> {
    let warnings = app.triggers().warnings().await?;
    findings.extend(warnings.iter().map(|(id, text)| Finding::doubt("schedules", format!("trigger {id}: {text}"))));
    Ok(())
}

#[cfg(not(feature = "triggers"))]
#[expect(clippy::unused_async, reason = "with the feature `triggers` the function asks a store")]
async fn schedules(_: &Pynenc, _: &mut Vec<Finding>) -> Result<()> {
    Ok(())
}

fn row(finding: &Finding) -> Vec<Cell> {
    let mark = match finding.weight {
        Weight::Good => cell("ok").fg(Color::Green),
        Weight::Doubt => cell("doubt").fg(Color::Yellow),
        Weight::Fault => cell("fault").fg(Color::Red),
    };
    vec![mark, cell(finding.what), cell(&finding.told)]
}

fn as_json(finding: &Finding) -> Value {
    let weight = match finding.weight {
        Weight::Good => "ok",
        Weight::Doubt => "doubt",
        Weight::Fault => "fault",
    };
    json!({"weight": weight, "what": finding.what, "finding": finding.told})
}
