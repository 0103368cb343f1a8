//! Triggers of pynenc: calls that an app makes when an event is emitted, an invocation finishes, or a time comes.
//!
//! A trigger is a condition and a call. [`on_event`], [`on_cron`], [`on_status`], [`on_success`], [`on_result`] and
//! [`on_exception`] make single conditions. [`all`] and [`any`] combine several. [`Condition::then`] and
//! [`Condition::call`] add the call.
//!
//! ```
//! # use pynenc_engine::Task;
//! use pynenc_triggers::{Condition, Trigger, on_cron, on_success};
//!
//! # fn triggers<import: Task, report: Task>(report: fn() -> pynenc_engine::Call<report>) -> [Trigger; 2] {
//! // Each night at half past two, Madrid time.
//! let nightly = on_cron("30 2 * * *").timezone("Europe/Madrid").then(report());
//! // Whenever an import succeeds.
//! let after_import = on_success::<import>().call(move |_| report());
//! # [nightly, after_import]
//! # }
//! ```
//!
//! Give triggers to the app's builder, or name their conditions in the attribute of a task. [`TriggersExt::triggers`]
//! lists, pauses and adds triggers while the app runs.
//!
//! The [`TriggerExtension`] evaluates the conditions in every runner of an app, and no runner leads. Each event,
//! completion and slot of a schedule fires a trigger once, even if several runners see it or a runner crashes.

mod active;
mod candidate;
mod code;
mod combine;
mod condition;
mod config;
pub mod context;
mod evaluate;
mod extension;
mod failure;
mod fire;
mod load;
mod management;
mod observation;
mod occurrences;
mod on;
mod pattern;
mod pipeline;
mod runs;
mod schedule;
mod slots;
mod spec;
mod stored_spec;
mod trigger;

pub use condition::{All, Any, Condition, IntoTriggers, all, any, of_task};
pub use config::TriggersConfig;
pub use context::{CompletionContext, ErrorContext, EventContext, ResultContext, SlotContext};
pub use extension::TriggerExtension;
pub use management::{NextSlot, ScheduleInfo, TriggerInfo, Triggers, TriggersExt};
pub use on::{On, on_cron, on_event, on_exception, on_result, on_status, on_success};
pub use schedule::{CronDialect, DayMatch, Misfire};
pub use spec::{ConditionSpec, ConditionTree, Target, TriggerSpec};
pub use trigger::{Trigger, attach};
