//! What has ended, once more.

use std::sync::Arc;

use pynenc_core::InvocationId;
use pynenc_core::lane::Submission;
use pynenc_core::orchestrator::{Inspected, Registered};
use pynenc_core::record::{InvocationRecord, Registration, WorkflowIdentity};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::extension::Changed;

/// At most so many make one trip.
const BATCH: usize = 500;

impl Engine {
    /// Submits what has ended once more, as a new invocation with the same arguments, and gives that one's id.
    ///
    /// It goes through the same queue, under the same concurrency control, and says in its record what it repeats. The
    /// program needn't know the task. To retry an invocation twice gives the same new one; when that has ended, it can be
    /// retried itself.
    ///
    /// A workflow goes on: the new run has its id and takes over its journal, so that it does again only what isn't
    /// recorded there.
    ///
    /// ```
    /// # async fn repeat(app: pynenc_engine::Engine, failed: pynenc_core::InvocationId) -> pynenc_engine::Result<()> {
    /// let again = app.retry(failed).await?;
    /// let value: serde_json::Value = app.result(again).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvocationNotFound`], [`Error::Invalid`] for one that hasn't ended, [`Error::ArgumentsUnavailable`],
    /// [`Error::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// A dropped retry may or may not have taken effect, and can be repeated.
    pub async fn retry(&self, id: InvocationId) -> Result<InvocationId> {
        let retried = self.retry_all(&[id]).await?.pop();
        retried.unwrap_or(Err(Error::InvocationNotFound(id)))
    }

    /// Submits what has ended once more, in batches. Each has a result of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`]; what was submitted before goes on.
    pub async fn retry_all(&self, ids: &[InvocationId]) -> Result<Vec<Result<InvocationId>>> {
        let mut results = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(BATCH) {
            results.extend(self.retry_batch(chunk).await?);
        }
        Ok(results)
    }

    async fn retry_batch(&self, ids: &[InvocationId]) -> Result<Vec<Result<InvocationId>>> {
        let inspected = self.parts().orchestrator.inspect(ids).await?;
        let records = self.parts().state.invocations(ids).await?;
        let mut repeats = Vec::with_capacity(ids.len());
        for ((id, inspected), record) in ids.iter().zip(inspected).zip(records) {
            repeats.push(match repeat(self, *id, inspected, record) {
                Ok(repeat) => self.with_arguments(self.in_its_workflow(repeat).await?).await,
                Err(error) => Err(error),
            });
        }
        let submissions: Vec<_> = repeats.iter().flatten().cloned().collect();
        let replies = if submissions.is_empty() { Vec::new() } else { self.lane().submit(submissions).await? };
        let mut replies = replies.into_iter();
        let mut results = Vec::with_capacity(ids.len());
        for repeat in repeats {
            results.push(match repeat {
                Ok(_) => self.repeated(replies.next()).await,
                Err(error) => Err(error),
            });
        }
        Ok(results)
    }

    /// The workflow it took part in: the one it was called in, or the one that it founded by its first operation.
    async fn in_its_workflow(&self, mut repeat: Submission) -> Result<Submission> {
        if let (None, Some(before)) = (repeat.record.workflow, repeat.record.retry_of)
            && let Some(journal) = self.parts().state.journal(before).await?
        {
            let record = Arc::make_mut(&mut repeat.record);
            record.workflow = Some(WorkflowIdentity { id: journal.origin, parent: None });
        }
        Ok(repeat)
    }

    /// Keeps its large arguments for as long as those of a new call.
    async fn with_arguments(&self, repeat: Submission) -> Result<Submission> {
        let digests: Vec<_> = repeat.record.arguments.iter().filter_map(|it| it.value.digest()).collect();
        let are_there = self.contents().renew(&digests).await?;
        match digests.iter().zip(are_there).find(|(_, is_there)| !is_there) {
            None => Ok(repeat),
            Some((digest, _)) => {
                let id = repeat.record.retry_of.unwrap_or(repeat.record.id);
                Err(Error::ArgumentsUnavailable { id, detail: format!("content {digest} isn't kept any more") })
            }
        }
    }

    async fn repeated(&self, reply: Option<pynenc_core::Result<Registered>>) -> Result<InvocationId> {
        match reply.ok_or_else(|| pynenc_core::Error::unavailable("the submit had no reply"))?? {
            Registered::New(tracked) => {
                self.changed(&Changed { id: tracked.id, task: &tracked.task, record: &tracked.record });
                self.run_inline(tracked.id).await?;
                Ok(tracked.id)
            }
            // One that waits with the same registration key stands for it.
            Registered::Existing { id, .. } | Registered::Conflict { id } => Ok(id),
        }
    }
}

/// The invocation that a retry of `id` makes.
pub fn retry_id(id: InvocationId) -> InvocationId {
    InvocationId::derived(id.as_uuid(), "retry")
}

fn repeat(
    engine: &Engine,
    id: InvocationId,
    inspected: Option<Inspected>,
    record: Option<Arc<InvocationRecord>>,
) -> Result<Submission> {
    let Inspected { tracked, registration, .. } = inspected.ok_or(Error::InvocationNotFound(id))?;
    let status = tracked.record.status;
    if !status.is_final() {
        let error = pynenc_core::Error::invalid("the invocation hasn't ended; only what has ended is retried");
        return Err(Error::Invalid(error.with("invocation", id).with("status", status)));
    }
    let detail = "it is missing from the state backend".to_owned();
    let record = record.ok_or(Error::CorruptRecord { id, detail })?;
    let new = retry_id(id);
    let record =
        InvocationRecord { id: new, retry_of: Some(id), created_at: engine.parts().clock.now(), ..(*record).clone() };
    let registration = Registration { id: new, due: None, idempotency: None, ..registration };
    Ok(Submission { record: Arc::new(record), registration })
}
