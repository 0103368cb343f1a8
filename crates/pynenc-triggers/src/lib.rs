//! Triggers: what happens makes calls.
//!
//! A condition ([`on_cron`], [`on_event`], [`on_status`], [`on_success`], [`on_result`], [`on_exception`], and [`all`] and
//! [`any`] of several) ends in a call. The [`TriggerExtension`] evaluates it in every runner of an app that has it, and each
//! occurrence fires once, with its own context.

mod combine;
mod condition;
mod config;
pub mod context;
mod extension;
mod fire;
mod handle;
mod happening;
mod judge;
mod live;
mod load;
mod matching;
mod pairing;
mod react;
mod runs;
mod schedule;
mod slots;
mod spec;
mod trigger;

pub use condition::{
    All, Any, Condition, IntoTriggers, On, all, any, on_cron, on_event, on_exception, on_result, on_status, on_success,
};
pub use config::TriggersConfig;
pub use context::{EndContext, ErrorContext, EventContext, ResultContext, SlotContext};
pub use extension::TriggerExtension;
pub use handle::{NextSlot, ScheduleInfo, TriggerInfo, Triggers, TriggersExt};
pub use schedule::{CronDialect, DayMatch, Misfire};
pub use spec::{Leaf, Node, Spec, Target};
pub use trigger::{Trigger, attach, of_task};
