//! What the feature `triggers` adds to the builder.

use pynenc_core::config::Config;
use pynenc_engine::Result;
use pynenc_engine::task::{Attachments, TaskRegistry};
use pynenc_triggers::{Trigger, TriggerExtension};

use crate::builder::PynencBuilder;

impl PynencBuilder {
    /// Adds a trigger: conditions that end in a call.
    pub fn trigger(mut self, trigger: Trigger) -> Self {
        let mut triggers: Vec<Trigger> = self.left.take().unwrap_or_default();
        triggers.push(trigger);
        self.left.attach(triggers);
        self
    }
}

pub(super) fn extension(config: &Config, tasks: &TaskRegistry, left: &mut Attachments) -> Result<TriggerExtension> {
    TriggerExtension::new(config, tasks, left.take().unwrap_or_default())
}
