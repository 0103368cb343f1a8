//! What the feature `workflow` adds to the builder.

use pynenc_core::config::Config;
use pynenc_engine::Result;
use pynenc_engine::task::{Attachments, TaskRegistry};
use pynenc_workflow::WorkflowExtension;

use crate::builder::PynencBuilder;

/// That workflows go as far as their journals, and do nothing new.
struct Replaying;

impl PynencBuilder {
    /// Has workflows go as far as their journals, and do nothing new: for tests of code against recorded runs.
    pub fn replaying(mut self) -> Self {
        self.left.attach(Replaying);
        self
    }
}

pub(super) fn extension(config: &Config, tasks: &TaskRegistry, left: &mut Attachments) -> Result<WorkflowExtension> {
    let extension = WorkflowExtension::new(config, tasks)?;
    Ok(if left.take::<Replaying>().is_some() { extension.replaying() } else { extension })
}
