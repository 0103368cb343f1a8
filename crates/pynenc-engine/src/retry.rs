//! What has ended, once more.

use std::sync::Arc;

use pynenc_core::InvocationId;
use pynenc_core::lane::Submission;
use pynenc_core::record::{InvocationRecord, WorkflowIdentity};

use crate::call::{CallOptions, EncodedCall};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::submit::wants_identity;
use crate::task::RegisteredTask;

impl Engine {
    /// Submits an invocation that has ended once more, with the same arguments, and tells the new one.
    ///
    /// A workflow goes on: the new run has its id and takes over its journal, so that it does again only what isn't
    /// recorded there. To retry an invocation twice gives the same new one; when that has ended, it can be retried itself.
    ///
    /// # Errors
    ///
    /// [`Error::InvocationNotFound`]; [`Error::Invalid`] for one that hasn't ended; [`Error::UnknownTask`].
    ///
    /// # Cancel safety
    ///
    /// A dropped retry may or may not have taken effect, and can be repeated.
    pub async fn retry(&self, id: InvocationId) -> Result<InvocationId> {
        let status = self.status(id).await?.status;
        if !status.is_final() {
            let error = pynenc_core::Error::invalid("the invocation hasn't ended; only what has ended is retried");
            return Err(Error::Invalid(error.with("invocation", id).with("status", status)));
        }
        let record = self.parts().state.invocations(&[id]).await?.pop().flatten();
        let record = record.ok_or(Error::InvocationNotFound(id))?;
        let task = self.known(record.task.as_str())?;
        let submission = self.repeated(task, &record).await?;
        let digests: Vec<_> = record.arguments.iter().filter_map(|argument| argument.value.digest()).collect();
        self.contents().renew(&digests).await?;
        let reply = self.lane().submit(vec![submission.clone()]).await?.pop();
        self.settled(task, &submission, reply).await.map(|(id, _)| id)
    }

    async fn repeated(&self, task: &RegisteredTask, before: &InvocationRecord) -> Result<Submission> {
        let options = CallOptions {
            priority: Some(u8::try_from(before.priority.level()).unwrap_or(u8::MAX)),
            queue: Some(before.queue.clone()),
            timeout: before.timeout,
            max_retries: before.max_retries,
            ..CallOptions::default()
        };
        let identity =
            if wants_identity(task, &options) { Some(self.arguments(before).await?.identity()?) } else { None };
        let (arguments, serializer) = (before.arguments.clone(), before.serializer.clone());
        let call = EncodedCall { task: before.task.clone(), arguments, serializer, identity, options };
        let workflow = self.workflow_of(before).await?;
        let mut submission = self.submission(task, retry_id(before.id), call)?;
        let record = Arc::make_mut(&mut submission.record);
        record.retry_of = Some(before.id);
        (record.parent, record.workflow) = (before.parent, workflow);
        record.trace.clone_from(&before.trace);
        Ok(submission)
    }

    /// The workflow it took part in: the one it was called in, or the one that it founded by its first operation.
    async fn workflow_of(&self, record: &InvocationRecord) -> Result<Option<WorkflowIdentity>> {
        if record.workflow.is_some() {
            return Ok(record.workflow);
        }
        let journal = self.parts().state.journal(record.id).await?;
        Ok(journal.map(|journal| WorkflowIdentity { id: journal.origin, parent: None }))
    }
}

/// The invocation that a retry of `id` makes.
pub fn retry_id(id: InvocationId) -> InvocationId {
    InvocationId::derived(id.as_uuid(), "retry")
}
