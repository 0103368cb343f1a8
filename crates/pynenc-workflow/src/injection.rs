//! Injects a [`Workflow`] into a task function.

use pynenc_engine::task::Requirements;
use pynenc_engine::{Error, FromContext, Result, TaskContext};

use crate::extension::WorkflowExtension;
use crate::run::Run;
use crate::workflow::Workflow;

impl FromContext for Workflow {
    fn requires(requirements: &mut Requirements) {
        requirements.part::<Self>();
    }

    fn from_context(context: &TaskContext) -> Result<Self> {
        let refused = |advice: &str| Error::Injection { type_name: "Workflow", advice: advice.to_owned() };
        if context.is_blocking() {
            return Err(refused("a workflow waits, so write its task as an `async fn`"));
        }
        let extension = context.engine().extension::<WorkflowExtension>();
        let extension = extension.ok_or_else(|| refused("the app has no workflows; turn on the feature `workflow`"))?;
        Ok(Self::new(Run::of(context, &extension.shared)))
    }
}
