//! Retries finished invocations: each is submitted again as a new invocation.

use std::sync::Arc;

use pynenc_core::InvocationId;
use pynenc_core::lane::Submission;
use pynenc_core::orchestrator::{Inspection, Registered};
use pynenc_core::record::{InvocationRecord, Registration, WorkflowIdentity};

use crate::engine::{Engine, StatusChange};
use crate::error::{Error, Result};

/// The maximum number of invocations in one round trip.
const BATCH: usize = 500;

impl Engine {
    /// Submits a finished invocation again, as a new invocation with the same arguments, and returns the new id.
    ///
    /// A workflow continues: the new run belongs to the same workflow and takes over the journal, so that it performs
    /// only operations that the journal doesn't have.
    ///
    /// The new invocation goes through the same queue, under the same concurrency control. Its record names the
    /// invocation that it retries (`retry_of`). This program doesn't need the task's code.
    ///
    /// Retrying the same id again returns the same new invocation, even after that one has failed. To try once more,
    /// retry the new id.
    ///
    /// ```
    /// # async fn retry(app: pynenc_engine::Engine, failed: pynenc_core::InvocationId) -> pynenc_engine::Result<()> {
    /// let again = app.retry(failed).await?;
    /// let value: serde_json::Value = app.result(again).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvocationNotFound`], [`Error::Invalid`] if the invocation hasn't finished,
    /// [`Error::ArgumentsUnavailable`], [`Error::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// A dropped retry may or may not have taken effect, and can be repeated.
    pub async fn retry(&self, id: InvocationId) -> Result<InvocationId> {
        let retried = self.retry_all(&[id]).await?.pop();
        retried.unwrap_or(Err(Error::InvocationNotFound(id)))
    }

    /// Submits finished invocations again, in batches. Each id has a result of its own, as in [`Engine::retry`].
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`]. Invocations that were submitted before the error continue.
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
        let mut prepared = Vec::with_capacity(ids.len());
        for ((id, inspected), record) in ids.iter().zip(inspected).zip(records) {
            prepared.push(match retry_submission(self, *id, inspected, record) {
                Ok(retry) => match self.with_workflow(retry).await {
                    Ok(retry) => self.with_arguments(retry).await,
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            });
        }
        let submissions: Vec<_> = prepared.iter().flatten().cloned().collect();
        let replies = if submissions.is_empty() { Vec::new() } else { self.lane().submit(submissions).await? };
        let mut replies = replies.into_iter();
        let mut results = Vec::with_capacity(ids.len());
        for retry in prepared {
            results.push(match retry {
                Ok(_) => self.retried(replies.next()).await,
                Err(error) => Err(error),
            });
        }
        Ok(results)
    }

    /// Sets the workflow of the retried invocation: the workflow it was called in, or the one it founded itself.
    async fn with_workflow(&self, mut retry: Submission) -> Result<Submission> {
        let record = &retry.record;
        if let (None, Some(before)) = (record.workflow, record.retry_of)
            && let Some(journal) = self.parts().state.journal(before).await?
        {
            let workflow = Some(WorkflowIdentity { id: journal.origin, parent: None });
            Arc::make_mut(&mut retry.record).workflow = workflow;
        }
        Ok(retry)
    }

    /// Extends the retention of the large arguments, as for a new call.
    async fn with_arguments(&self, retry: Submission) -> Result<Submission> {
        let digests: Vec<_> = retry.record.arguments.iter().filter_map(|it| it.value.digest()).collect();
        let are_there = self.large_values().renew(&digests).await?;
        match digests.iter().zip(are_there).find(|(_, is_there)| !is_there) {
            None => Ok(retry),
            Some((digest, _)) => {
                let id = retry.record.retry_of.unwrap_or(retry.record.id);
                Err(Error::ArgumentsUnavailable {
                    id,
                    detail: format!("content {digest} is no longer in the argument cache"),
                })
            }
        }
    }

    async fn retried(&self, reply: Option<pynenc_core::Result<Registered>>) -> Result<InvocationId> {
        match reply.ok_or_else(|| pynenc_core::Error::unavailable("the submit had no reply"))?? {
            Registered::New(tracked) => {
                self.changed(&StatusChange::of(&tracked));
                self.run_inline(tracked.id).await?;
                Ok(tracked.id)
            }
            // Registration concurrency control: a waiting invocation with the same key takes the place of the retry.
            Registered::Existing { id, .. } | Registered::Conflict { id } => Ok(id),
        }
    }
}

/// The id of the invocation that a retry of `id` creates.
pub fn retry_id(id: InvocationId) -> InvocationId {
    InvocationId::derived(id.as_uuid(), "retry")
}

fn retry_submission(
    engine: &Engine,
    id: InvocationId,
    inspected: Option<Inspection>,
    record: Option<Arc<InvocationRecord>>,
) -> Result<Submission> {
    let Inspection { tracked, registration, .. } = inspected.ok_or(Error::InvocationNotFound(id))?;
    let status = tracked.record.status;
    if !status.is_final() {
        let error = pynenc_core::Error::invalid("the invocation hasn't finished; only a finished one can be retried");
        return Err(Error::Invalid(error.with("invocation", id).with("status", status)));
    }
    let detail = "the record is missing from the state backend".to_owned();
    let record = record.ok_or(Error::CorruptRecord { id, detail })?;
    let new = retry_id(id);
    let record = InvocationRecord {
        id: new,
        retry_of: Some(id),
        created_at: engine.parts().clock.now(),
        due: None,
        ..(*record).clone()
    };
    let registration = Registration { id: new, due: None, idempotency: None, ..registration };
    Ok(Submission { record: Arc::new(record), registration })
}
