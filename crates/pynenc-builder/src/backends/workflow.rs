//! The extension of the feature `workflow`.

use pynenc_core::config::Config;
use pynenc_engine::Result;
use pynenc_engine::task::{Attachments, TaskRegistry};
use pynenc_workflow::WorkflowExtension;

/// Marks that workflows only replay their journals.
struct ReplayOnly;

/// Makes workflows replay their journals without performing new operations.
pub(crate) fn replay_only(attachments: &mut Attachments) {
    attachments.attach(ReplayOnly);
}

pub(super) fn extension(
    config: &Config,
    tasks: &TaskRegistry,
    attachments: &mut Attachments,
) -> Result<WorkflowExtension> {
    let extension = WorkflowExtension::new(config, tasks)?;
    Ok(if attachments.take::<ReplayOnly>().is_some() { extension.replaying() } else { extension })
}
