//! Children: the tasks that a workflow calls.

use std::future::{Future, pending};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pynenc_core::record::{InvocationRecord, TaskError};
use pynenc_core::status::Due;
use pynenc_core::{Digest, InvocationId, Status};
use pynenc_engine::{Call, EncodedCall, Error, Halt, Mismatch, Result, Task};

use crate::operation::{Branch, Operation, task_error};
use crate::operation_kind;

/// How long a run is suspended when it can't upload the arguments of a child.
const UPLOAD_PAUSE: Duration = Duration::from_secs(1);

pub(crate) fn execute<T: Task>(
    branch: &Branch,
    call: Call<T>,
) -> impl Future<Output = Result<T::Output>> + Send + use<T> {
    let digest = branch.run.engine().digest(&call);
    let operation = branch.operation(operation_kind::EXECUTE, T::definition().name, or_empty(&digest));
    async move {
        if let Some(recorded) = operation.replayed().await? {
            return operation.value(&recorded);
        }
        digest.map_err(|error| operation.fail_with(error))?;
        let values = Children { operation: &operation }.values::<T>(vec![call]).await?;
        let value = values.into_iter().next().ok_or_else(|| missing(&operation))?;
        operation.record(operation.encoded(&value)?).await?;
        Ok(value)
    }
}

pub(crate) fn execute_all<T: Task>(
    branch: &Branch,
    calls: Vec<Call<T>>,
) -> impl Future<Output = Result<Vec<T::Output>>> + Send + use<T> {
    let digests: Result<Vec<Digest>> = calls.iter().map(|call| branch.run.engine().digest(call)).collect();
    let digest = digests.map(|digests| Digest::of(&digests.iter().flat_map(|it| *it.as_bytes()).collect::<Vec<_>>()));
    let operation = branch.operation(operation_kind::EXECUTE_ALL, T::definition().name, or_empty(&digest));
    async move {
        if let Some(recorded) = operation.replayed().await? {
            return operation.value(&recorded);
        }
        digest.map_err(|error| operation.fail_with(error))?;
        let values = Children { operation: &operation }.values::<T>(calls).await?;
        operation.record(operation.encoded(&values)?).await?;
        Ok(values)
    }
}

fn or_empty(digest: &Result<Digest>) -> Digest {
    digest.as_ref().map_or_else(|_| Digest::of(b""), |digest| *digest)
}

fn missing(operation: &Operation) -> pynenc_core::Error {
    pynenc_core::Error::unavailable("a child returned no value").with("position", &operation.position)
}

/// The children of one operation.
struct Children<'a> {
    operation: &'a Operation,
}

impl Children<'_> {
    /// Calls the children and returns their values. An error is kept as the operation's failure.
    async fn values<T: Task>(&self, calls: Vec<Call<T>>) -> Result<Vec<T::Output>> {
        let results = self.results::<T>(calls).await.map_err(|error| self.operation.fail_with(error))?;
        match results {
            Ok(values) => Ok(values),
            Err(error) => Err(self.operation.fail(error)?),
        }
    }

    /// Calls the children. The inner error is the first error of a child in the order of the calls; the outer error
    /// isn't a child's.
    async fn results<T: Task>(&self, calls: Vec<Call<T>>) -> Result<std::result::Result<Vec<T::Output>, TaskError>> {
        let run = &self.operation.run;
        let mut encoded = Vec::with_capacity(calls.len());
        for call in calls {
            encoded.push(match run.engine().encode(call).await {
                Err(error) if error.is_retryable() => run.halt(Halt::Suspend(Some(Due::In(UPLOAD_PAUSE)))).await,
                call => call?,
            });
        }
        let ids = self.submit(encoded).await?;
        let mut failures = 0;
        loop {
            match run.engine().group::<T>(ids.iter().copied()).results().await {
                Ok(values) => return Ok(Ok(values)),
                Err(Error::TooManyPaused(_)) => run.back_off(&mut failures).await,
                Err(error) if error.is_retryable() => run.back_off(&mut failures).await,
                Err(Error::ClaimLost(_)) => pending().await,
                Err(Error::TaskFailed(error)) => return Ok(Err(error)),
                Err(error) => return Ok(Err(task_error(&error, run.context.attempt_number()))),
            }
        }
    }

    /// Submits the children and returns their ids. Boxed, so that the crates of workflows don't compile this future.
    fn submit(&self, calls: Vec<EncodedCall>) -> BoxFuture<'_, Result<Vec<InvocationId>>> {
        async move {
            let run = &self.operation.run;
            let ids = self.ids(calls.len()).await?;
            if run.context.epoch() > 1 {
                self.check_submitted(&ids, &calls).await?;
            }
            let calls: Vec<_> = ids.into_iter().zip(calls).collect();
            let mut failures = 0;
            loop {
                let submitted = run.context.scope(run.engine().submit_encoded(calls.clone())).await;
                match submitted.and_then(|ids| ids.into_iter().collect::<Result<Vec<_>>>()) {
                    Err(error) if error.is_retryable() => run.back_off(&mut failures).await,
                    submitted => return submitted,
                }
            }
        }
        .boxed()
    }

    /// Returns the ids of the children: those of an earlier attempt, unless the child has failed. So a crash of the
    /// workflow calls no child twice, and a retry of the workflow calls a failed child again.
    async fn ids(&self, count: usize) -> Result<Vec<InvocationId>> {
        let run = &self.operation.run;
        let (origin, attempts) = {
            let replay = run.replay();
            (replay.origin, replay.attempts.max(1))
        };
        let id = |child: usize, attempt: u32| child_id(origin, &self.operation.position, child, attempt);
        if attempts == 1 {
            return Ok((0..count).map(|child| id(child, 0)).collect());
        }
        let candidates: Vec<_> =
            (0..count).flat_map(|child| (0..attempts).map(move |attempt| id(child, attempt))).collect();
        let orchestrator = &run.engine().parts().orchestrator;
        let records = run.until_available(|| orchestrator.records(&candidates)).await?;
        let has_failed = |index: &usize| {
            let status = records[*index].as_ref().map(|tracked| tracked.record.status);
            status.is_some_and(|status| status.is_final() && status != Status::Success)
        };
        let attempts = attempts as usize;
        let chosen = (0..count).map(|child| {
            let indexes = child * attempts..(child + 1) * attempts;
            indexes.clone().find(|index| !has_failed(index)).unwrap_or(indexes.end - 1)
        });
        Ok(chosen.map(|index| candidates[index]).collect())
    }

    /// Checks that children that an earlier claim submitted have the same calls as now. Otherwise the run fails.
    async fn check_submitted(&self, ids: &[InvocationId], calls: &[EncodedCall]) -> Result<()> {
        let run = &self.operation.run;
        let state = &run.engine().parts().state;
        let records = run.until_available(|| state.invocations(ids)).await?;
        for (record, call) in records.iter().zip(calls) {
            let Some(mismatch) = record.as_ref().and_then(|record| self.mismatch(record, call)) else { continue };
            run.halt::<()>(Halt::Mismatch(mismatch)).await;
        }
        Ok(())
    }

    fn mismatch(&self, record: &InvocationRecord, call: &EncodedCall) -> Option<Mismatch> {
        let describe = |task: &str| operation_kind::describe(operation_kind::EXECUTE, task);
        let (recorded, mut found) = (describe(record.task.as_str()), describe(call.task().as_str()));
        if recorded == found {
            if self.operation.run.engine().differs(call, record).is_empty() {
                return None;
            }
            found.push_str(" with other arguments");
        }
        Some(Mismatch { position: self.operation.position.to_string(), recorded, found })
    }
}

/// Derives the id of a child from its operation, its index among the operation's children, and the attempt.
fn child_id(origin: InvocationId, position: &str, child: usize, attempt: u32) -> InvocationId {
    InvocationId::derived(origin.as_uuid(), &format!("child {position} {child} {attempt}"))
}
