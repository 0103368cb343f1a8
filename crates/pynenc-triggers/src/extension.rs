//! The part of an app that reacts.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use pynenc_core::config::Config;
use pynenc_core::orchestrator::Signal;
use pynenc_core::trigger_store::News;
use pynenc_core::{RunnerId, Timestamp, async_trait};
use pynenc_engine::stop::Stop;
use pynenc_engine::task::TaskRegistry;
use pynenc_engine::{Engine, Extension, Result};
use tokio::sync::Notify;

use crate::config::TriggersConfig;
use crate::live::Roster;
use crate::trigger::{Coded, TaskTriggers, Trigger, identified};

/// Runners of an app may drop what is old only one at a time.
const LEASE: &str = "triggers";

/// Reacts to events, to ends of invocations and to time, in every runner, for the triggers whose code the program has and
/// for those that were added at run time. No runner leads: whatever one takes and doesn't see to is offered to others.
#[derive(Debug)]
pub struct TriggerExtension {
    pub(crate) config: TriggersConfig,
    pub(crate) coded: Vec<Coded>,
    roster: RwLock<Arc<Roster>>,
    outbox: Notify,
}

impl TriggerExtension {
    /// The extension of an app with these triggers, and those that attributes of `tasks` name.
    ///
    /// # Errors
    ///
    /// [`pynenc_engine::Error::Config`] for a trigger or a setting that can't be as it is.
    pub fn new(config: &Config, tasks: &TaskRegistry, triggers: Vec<Trigger>) -> Result<Self> {
        let named = tasks.all().into_iter().filter_map(|task| task.attachments().attached::<TaskTriggers>());
        let named: Vec<Trigger> = named.flat_map(|triggers| (triggers.0)()).collect();
        let checked = triggers.into_iter().chain(named).map(|trigger| trigger.check(tasks));
        let coded = identified(checked.collect::<Result<_>>()?)?;
        let config: TriggersConfig = config.section()?;
        coded.iter().try_for_each(|trigger| config.check(&trigger.spec))?;
        coded.iter().for_each(Coded::warn);
        let roster = RwLock::new(Arc::new(Roster::new(&coded, &[], tasks)));
        Ok(Self { config, coded, roster, outbox: Notify::new() })
    }

    /// The triggers as they were read last.
    pub(crate) fn roster(&self) -> Arc<Roster> {
        self.roster.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says which triggers the program has, and what they want to be told.
    async fn renew(&self, engine: &Engine) -> Result<()> {
        let (parts, life) = (engine.parts(), self.config.definition_life);
        let definitions = self.coded.iter().map(Coded::definition).collect::<Result<Vec<_>>>()?;
        if !definitions.is_empty() {
            parts.triggers.define(&definitions, Some(life)).await?;
        }
        let defined = parts.triggers.definitions().await?;
        let roster = Arc::new(Roster::new(&self.coded, &defined, engine.tasks()));
        if !roster.interests.is_empty() {
            parts.orchestrator.want(&roster.interests, life).await?;
        }
        *self.roster.write().unwrap_or_else(PoisonError::into_inner) = roster;
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
        Service::new(self, engine, runner).run(stop).await;
        Ok(())
    }
}

/// The service of one runner.
struct Service<'a> {
    extension: &'a TriggerExtension,
    engine: Engine,
    runner: RunnerId,
    news: Option<BoxStream<'static, News>>,
    todo: Todo,
    next: Deadlines,
    failures: u32,
}

/// What there is to do at once.
#[derive(Debug, Clone, Copy)]
struct Todo {
    renew: bool,
    outbox: bool,
    events: bool,
}

/// When there is something to do again, by the clock of this process.
#[derive(Debug, Clone, Copy)]
struct Deadlines {
    renewal: Timestamp,
    rescue: Timestamp,
    expiry: Timestamp,
    slot: Timestamp,
}

impl Deadlines {
    fn first(self) -> Timestamp {
        self.renewal.min(self.rescue).min(self.expiry).min(self.slot)
    }
}

enum Woken {
    Stopped,
    Outbox,
    News(Option<News>),
    Deadline,
}

impl<'a> Service<'a> {
    fn new(extension: &'a TriggerExtension, engine: Engine, runner: RunnerId) -> Self {
        let now = engine.parts().clock.now();
        let next = Deadlines { renewal: now, rescue: now, expiry: now, slot: now };
        let todo = Todo { renew: true, outbox: true, events: true };
        Self { extension, engine, runner, news: None, todo, next, failures: 0 }
    }

    async fn run(mut self, mut stop: Stop) {
        while !stop.is_draining() {
            let wait_until = match self.work().await {
                // A batch at a time, so that nothing stands before the slots of schedules.
                Ok(()) if self.todo.outbox || self.todo.events => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Ok(()) => {
                    self.failures = 0;
                    self.next.first()
                }
                Err(error) => self.failed(&error),
            };
            match self.woken(&mut stop, wait_until).await {
                Woken::Stopped => return,
                Woken::Outbox => self.todo.outbox = true,
                Woken::News(Some(News::Events)) => self.todo.events = true,
                Woken::News(Some(News::Definitions)) => self.todo.renew = true,
                Woken::News(None) => self.news = None,
                Woken::Deadline => {}
            }
        }
    }

    /// Says once what keeps triggers from being seen to, and when to try again.
    fn failed(&mut self, error: &pynenc_engine::Error) -> Timestamp {
        if self.failures == 0 {
            tracing::warn!(%error, "triggers can't be seen to; trying again until the stores are back");
        }
        let pause = Duration::from_millis(50 << self.failures.min(6)).min(Duration::from_secs(2));
        self.failures += 1;
        self.engine.parts().clock.now() + pause
    }

    async fn woken(&mut self, stop: &mut Stop, until: Timestamp) -> Woken {
        let news = async {
            match &mut self.news {
                Some(news) => news.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.draining() => Woken::Stopped,
            () = self.extension.outbox.notified() => Woken::Outbox,
            news = news => Woken::News(news),
            () = self.engine.parts().clock.sleep_until(until) => Woken::Deadline,
        }
    }

    /// Does all that there is to do now. What fails stays to be done.
    async fn work(&mut self) -> Result<()> {
        let (extension, engine) = (self.extension, &self.engine);
        if self.news.is_none() {
            // What came while nobody listened was told to nobody.
            self.news = Some(engine.parts().triggers.news().await?);
            self.todo = Todo { renew: true, outbox: true, events: true };
        }
        let now = engine.parts().clock.now();
        if self.todo.renew || now >= self.next.renewal {
            extension.renew(engine).await?;
            self.next.renewal = now + extension.config.definition_life / 3;
            // Something may have waited for a trigger that has just been added.
            self.todo = Todo { renew: false, outbox: true, events: true };
            self.next.slot = now;
        }
        if now >= self.next.rescue {
            extension.rescue(engine).await?;
            self.next.rescue = now + extension.config.offer_timeout;
            (self.todo.outbox, self.todo.events) = (true, true);
        }
        if self.todo.outbox {
            self.todo.outbox = extension.react_to_ends(engine).await?;
        }
        if self.todo.events {
            self.todo.events = extension.react_to_events(engine).await?;
        }
        if engine.parts().clock.now() >= self.next.slot {
            self.next.slot = extension.react_to_time(engine).await?.unwrap_or(Timestamp::from_millis(u64::MAX));
        }
        if now >= self.next.expiry {
            self.expire(now).await?;
        }
        Ok(())
    }

    async fn expire(&mut self, now: Timestamp) -> Result<()> {
        let interval = self.engine.settings().retention.interval;
        self.next.expiry = now + interval;
        if self.engine.parts().orchestrator.lease(LEASE, self.runner, interval * 3).await? {
            self.extension.expire(&self.engine).await?;
        }
        Ok(())
    }
}
