//! The extension that evaluates triggers, and its service in each runner.

use std::sync::{Arc, PoisonError, RwLock};

use pynenc_core::config::Config;
use pynenc_core::orchestrator::Signal;
use pynenc_core::trigger_store::{Notification, TriggerUpdate};
use pynenc_core::{RunnerId, Timestamp, async_trait};
use pynenc_engine::service::{self, NextWork, Service};
use pynenc_engine::stop::Stop;
use pynenc_engine::task::TaskRegistry;
use pynenc_engine::{Engine, Extension, Result};
use tokio::sync::Notify;

use crate::active::ActiveTriggers;
use crate::config::TriggersConfig;
use crate::trigger::{CodedTrigger, TaskTriggers, Trigger, assign_ids};

/// The lease of the one runner that drops old data.
const LEASE: &str = "triggers";

/// Evaluates the triggers of the program's code and the triggers that were added at run time, in every runner.
///
/// No runner leads. An event or a completion that a runner takes and doesn't process is offered to another runner after
/// [`offer_timeout`](TriggersConfig::offer_timeout).
#[derive(Debug)]
pub struct TriggerExtension {
    pub(crate) config: TriggersConfig,
    pub(crate) coded: Vec<CodedTrigger>,
    active: RwLock<Arc<ActiveTriggers>>,
    outbox: Notify,
}

impl TriggerExtension {
    /// Makes the extension of an app from these triggers and the triggers in the attributes of `tasks`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](pynenc_engine::Error::Config) for an invalid trigger or setting, and
    /// [`Error::UnknownTask`](pynenc_engine::Error::UnknownTask) for a trigger that calls a task the app doesn't have.
    pub fn new(config: &Config, tasks: &TaskRegistry, triggers: Vec<Trigger>) -> Result<Self> {
        let of_tasks = tasks.all().into_iter().filter_map(|task| task.attachments().attached::<TaskTriggers>());
        let of_tasks: Vec<Trigger> = of_tasks.flat_map(|triggers| (triggers.0)()).collect();
        let checked = triggers.into_iter().chain(of_tasks).map(|trigger| trigger.check(tasks));
        let coded = assign_ids(checked.collect::<Result<_>>()?)?;
        let config: TriggersConfig = config.section()?;
        coded.iter().try_for_each(|trigger| config.check(&trigger.spec))?;
        coded.iter().for_each(CodedTrigger::log_warnings);
        let active = RwLock::new(Arc::new(ActiveTriggers::new(&coded, &[], tasks)));
        Ok(Self { config, coded, active, outbox: Notify::new() })
    }

    /// Returns the active triggers, as they were last read from the store.
    pub(crate) fn active(&self) -> Arc<ActiveTriggers> {
        self.active.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Renews the definitions of the program's triggers, reads the active triggers, and renews the subscriptions to
    /// completions.
    async fn renew(&self, engine: &Engine) -> Result<()> {
        let (parts, life) = (engine.parts(), self.config.definition_life);
        let define =
            |coded: &CodedTrigger| TriggerUpdate::Define { definition: coded.definition(), length: Some(life) };
        let updates: Vec<_> = self.coded.iter().map(define).collect();
        if !updates.is_empty() {
            parts.triggers.update_definitions(&updates).await?;
        }
        let stored = parts.triggers.definitions().await?;
        let active = Arc::new(ActiveTriggers::new(&self.coded, &stored, engine.tasks()));
        if !active.interests.is_empty() {
            parts.orchestrator.subscribe(&active.interests, life).await?;
        }
        *self.active.write().unwrap_or_else(PoisonError::into_inner) = active;
        Ok(())
    }
}

#[async_trait]
impl Extension for TriggerExtension {
    async fn prepare(&self, engine: &Engine) -> Result<()> {
        self.renew(engine).await
    }

    fn on_signal(&self, signal: &Signal) {
        if *signal == Signal::Outbox {
            self.outbox.notify_one();
        }
    }

    async fn serve(&self, engine: Engine, runner: RunnerId, stop: Stop) -> Result<()> {
        service::run(TriggerService::new(self, &engine, runner), &engine, stop).await;
        Ok(())
    }
}

/// The trigger service of one runner.
struct TriggerService<'a> {
    extension: &'a TriggerExtension,
    runner: RunnerId,
    due: Due,
    next: Deadlines,
}

/// The work that is due at once.
#[derive(Debug, Clone, Copy)]
struct Due {
    renewal: bool,
    completions: bool,
    events: bool,
}

/// The times at which work is due again, by the process's clock.
#[derive(Debug, Clone, Copy)]
struct Deadlines {
    renewal: Timestamp,
    redelivery: Timestamp,
    expiry: Timestamp,
    slot: Timestamp,
}

impl Deadlines {
    fn first(self) -> Timestamp {
        self.renewal.min(self.redelivery).min(self.expiry).min(self.slot)
    }
}

impl<'a> TriggerService<'a> {
    fn new(extension: &'a TriggerExtension, engine: &Engine, runner: RunnerId) -> Self {
        let now = engine.parts().clock.now();
        let next = Deadlines { renewal: now, redelivery: now, expiry: now, slot: now };
        let due = Due { renewal: true, completions: true, events: true };
        Self { extension, runner, due, next }
    }

    async fn expire(&mut self, engine: &Engine, now: Timestamp) -> Result<()> {
        let interval = engine.settings().retention.interval;
        self.next.expiry = now + interval;
        if engine.parts().orchestrator.acquire_lease(LEASE, self.runner, interval * 3).await? {
            self.extension.expire(engine).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Service for TriggerService<'_> {
    fn subject(&self) -> &'static str {
        "triggers"
    }

    fn mark_all_due(&mut self) {
        self.due = Due { renewal: true, completions: true, events: true };
    }

    fn notified(&mut self, notification: Notification) {
        match notification {
            Notification::Events => self.due.events = true,
            Notification::Definitions => self.due.renewal = true,
        }
    }

    async fn signaled(&mut self) {
        self.extension.outbox.notified().await;
        self.due.completions = true;
    }

    /// Processes at most one batch of completions and one batch of events before it fires due slots, so that a backlog
    /// doesn't delay schedules.
    async fn work(&mut self, engine: &Engine) -> Result<NextWork> {
        let extension = self.extension;
        let now = engine.parts().clock.now();
        if self.due.renewal || now >= self.next.renewal {
            extension.renew(engine).await?;
            self.next.renewal = now + extension.config.definition_life / 3;
            // Events, completions and slots may have waited for a trigger that was added.
            self.due = Due { renewal: false, completions: true, events: true };
            self.next.slot = now;
        }
        if now >= self.next.redelivery {
            extension.redeliver(engine).await?;
            self.next.redelivery = now + extension.config.offer_timeout;
            (self.due.completions, self.due.events) = (true, true);
        }
        if self.due.completions {
            self.due.completions = extension.process_completions(engine).await?;
        }
        if self.due.events {
            self.due.events = extension.process_events(engine).await?;
        }
        if engine.parts().clock.now() >= self.next.slot {
            self.next.slot = extension.fire_due_slots(engine).await?.unwrap_or(Timestamp::from_millis(u64::MAX));
        }
        if now >= self.next.expiry {
            self.expire(engine, now).await?;
        }
        let has_more = self.due.completions || self.due.events;
        Ok(if has_more { NextWork::Now } else { NextWork::At(self.next.first()) })
    }
}
