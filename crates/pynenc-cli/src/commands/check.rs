//! `check`: looks for problems of the settings, the stores, the tasks and the runners.

use std::time::Instant;

use comfy_table::{Cell, Color};
#[cfg(feature = "triggers")]
use pynenc_builder::backends::pynenc_triggers::TriggersExt;
use pynenc_builder::{Pynenc, PynencBuilder};
use pynenc_core::QueueName;
use pynenc_core::config::LoggingConfig;
use pynenc_engine::{Error, Result};
use serde_json::{Value, json};

use super::queues;
use crate::arguments::Check;
use crate::exit::Exit;
use crate::in_memory::is_in_memory;
use crate::output::{Output, cell, duration};
use crate::stderr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    Ok,
    Warning,
    Error,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

struct Finding {
    severity: Severity,
    subject: &'static str,
    message: String,
}

impl Finding {
    fn ok(subject: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Ok, subject, message: message.into() }
    }

    fn warning(subject: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, subject, message: message.into() }
    }

    fn error(subject: &'static str, error: &Error, advice: &str) -> Self {
        Self { severity: Severity::Error, subject, message: format!("{error}. {advice}") }
    }
}

pub(super) async fn check(builder: PynencBuilder, options: &Check, output: &mut Output) -> Result<Exit> {
    stderr::init_logging(&LoggingConfig { level: "off".into(), ..LoggingConfig::default() })?;
    let mut findings = Vec::new();
    let exit = check_app(builder, &mut findings).await;
    output.list(&findings, as_json, (&["", "what", "finding"], row), "nothing was checked")?;
    let has_warnings = findings.iter().any(|finding| finding.severity == Severity::Warning);
    Ok(if exit == Exit::Done && options.strict && has_warnings { Exit::Failed } else { exit })
}

/// Checks the settings, then builds the app, then checks the stores. Stops at the first error.
async fn check_app(builder: PynencBuilder, findings: &mut Vec<Finding>) -> Exit {
    match builder.explain() {
        Ok(settings) => findings.push(Finding::ok("settings", format!("{} settings are valid", settings.len()))),
        Err(error) => {
            findings.push(Finding::error("settings", &error, FIX_SETTING));
            return Exit::Config;
        }
    }
    let start = Instant::now();
    let app = match builder.build().await {
        Ok(app) => app,
        Err(error @ Error::Unavailable { .. }) => {
            let advice = "For Redis, start the server, or set its address: `redis.redis_url`, or `redis.redis_host` \
                          and `redis.redis_port`.";
            findings.push(Finding::error("stores", &error, advice));
            return Exit::Unavailable;
        }
        Err(error) => {
            findings.push(Finding::error("app", &error, FIX_SETTING));
            return Exit::Config;
        }
    };
    match check_stores(&app, start, findings).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            let advice = "The store was opened, but this request failed.";
            findings.push(Finding::error("stores", &error, advice));
            Exit::Failed
        }
    }
}

const FIX_SETTING: &str = "Fix that setting.";

async fn check_stores(app: &Pynenc, start: Instant, findings: &mut Vec<Finding>) -> Result<()> {
    let orchestrator = &app.parts().orchestrator;
    let waiting = orchestrator.count().await?.queued;
    if is_in_memory(app) {
        let message = "all data is in the memory of one process, and is lost when the process exits. \
                       To share the app between processes, choose the Redis or SQLite components.";
        findings.push(Finding::warning("stores", message));
    } else {
        findings.push(Finding::ok("stores", format!("reached in {}", duration(start.elapsed()))));
        match orchestrator.weaknesses().await?.join("; ") {
            none if none.is_empty() => findings.push(Finding::ok("durability", "the store keeps acknowledged writes")),
            weaknesses => findings.push(Finding::warning("durability", weaknesses)),
        }
    }
    findings.push(check_tasks(app));
    check_schedules(app, findings).await?;
    if let Err(error) = app.check_requirements() {
        findings.push(Finding::warning("states", format!("a worker of this program can't start: {error}")));
    }
    let served = queues::served(app).await?;
    for (queue, count) in waiting.into_iter().filter(|(queue, _)| !served.contains_key(queue)) {
        let message = format!(
            "{count} waiting in `{queue}`, and no live runner serves this queue. Start `worker --queues {queue}`."
        );
        findings.push(Finding::warning("queues", message));
    }
    if !served.is_empty() {
        let names: Vec<_> = served.keys().map(QueueName::as_str).collect();
        findings.push(Finding::ok("runners", format!("live runners serve {}", names.join(", "))));
    } else if !is_in_memory(app) {
        findings.push(Finding::warning("runners", "no runner is alive. Start one with `worker`."));
    }
    Ok(())
}

fn check_tasks(app: &Pynenc) -> Finding {
    match app.tasks().all().len() {
        0 => Finding::warning(
            "tasks",
            "this program has no tasks to run. Write `use my_tasks as _;` to link a crate of tasks.",
        ),
        count => Finding::ok("tasks", format!("{count} tasks are linked")),
    }
}

/// Warns of cron expressions that other systems read differently.
#[cfg(feature = "triggers")]
async fn check_schedules(app: &Pynenc, findings: &mut Vec<Finding>) -> Result<()> {
    let warnings = app.triggers().warnings().await?;
    findings.extend(warnings.iter().map(|(id, text)| Finding::warning("schedules", format!("trigger {id}: {text}"))));
    Ok(())
}

#[cfg(not(feature = "triggers"))]
#[expect(clippy::unused_async, reason = "with the feature `triggers` the function asks a store")]
async fn check_schedules(_: &Pynenc, _: &mut Vec<Finding>) -> Result<()> {
    Ok(())
}

fn row(finding: &Finding) -> Vec<Cell> {
    let color = match finding.severity {
        Severity::Ok => Color::Green,
        Severity::Warning => Color::Yellow,
        Severity::Error => Color::Red,
    };
    vec![cell(finding.severity.as_str()).fg(color), cell(finding.subject), cell(&finding.message)]
}

fn as_json(finding: &Finding) -> Value {
    json!({"weight": finding.severity.as_str(), "what": finding.subject, "finding": finding.message})
}
