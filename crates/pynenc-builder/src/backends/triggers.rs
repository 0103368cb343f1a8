//! The extension of the feature `triggers`.

use pynenc_core::config::Config;
use pynenc_engine::Result;
use pynenc_engine::task::{Attachments, TaskRegistry};
use pynenc_triggers::{Trigger, TriggerExtension};

/// Keeps a trigger of the builder for the extension.
pub(crate) fn add(attachments: &mut Attachments, trigger: Trigger) {
    let mut triggers: Vec<Trigger> = attachments.take().unwrap_or_default();
    triggers.push(trigger);
    attachments.attach(triggers);
}

pub(super) fn extension(
    config: &Config,
    tasks: &TaskRegistry,
    attachments: &mut Attachments,
) -> Result<TriggerExtension> {
    TriggerExtension::new(config, tasks, attachments.take().unwrap_or_default())
}
