//! Children: tasks that a workflow calls.

use std::future::{Future, pending};
use std::time::Duration;

use pynenc_core::record::{InvocationRecord, TaskError};
use pynenc_core::status::Due;
use pynenc_core::{Digest, InvocationId, Status};
use pynenc_engine::{Call, EncodedCall, Error, Halt, Mismatch, Result, Task};

use crate::kind;
use crate::operation::{Operation, told};
use crate::workflow::Workflow;

/// How long a body is put aside that couldn't bring its arguments to their store.
const UPLOAD_PAUSE: Duration = Duration::from_secs(1);

pub(crate) fn one<T: Task>(
    workflow: &Workflow,
    call: Call<T>,
) -> impl Future<Output = Result<T::Output>> + Send + use<T> {
    let digest = workflow.run.engine().digest(&call);
    let operation = Operation::call(workflow, kind::EXECUTE, T::definition().name, or_empty(&digest));
    async move {
        if let Some(recorded) = operation.replayed().await? {
            return operation.value(&recorded);
        }
        digest.map_err(|error| operation.fail_by(error))?;
        let children = Children { operation: &operation };
        let value = match children.values::<T>(vec![call]).await.map_err(|error| operation.fail_by(error))? {
            Ok(values) => values.into_iter().next().ok_or_else(|| lost(&operation))?,
            Err(error) => return Err(operation.fail(error)?),
        };
        operation.record(operation.encoded(&value)?).await?;
        Ok(value)
    }
}

pub(crate) fn all<T: Task>(
    workflow: &Workflow,
    calls: Vec<Call<T>>,
) -> impl Future<Output = Result<Vec<T::Output>>> + Send + use<T> {
    let digests: Result<Vec<Digest>> = calls.iter().map(|call| workflow.run.engine().digest(call)).collect();
    let digest = digests.map(|digests| Digest::of(&digests.iter().flat_map(|it| *it.as_bytes()).collect::<Vec<_>>()));
    let operation = Operation::call(workflow, kind::EXECUTE_ALL, T::definition().name, or_empty(&digest));
    async move {
        if let Some(recorded) = operation.replayed().await? {
            return operation.value(&recorded);
        }
        digest.map_err(|error| operation.fail_by(error))?;
        let children = Children { operation: &operation };
        match children.values::<T>(calls).await.map_err(|error| operation.fail_by(error))? {
            Ok(values) => {
                operation.record(operation.encoded(&values)?).await?;
                Ok(values)
            }
            Err(error) => Err(operation.fail(error)?),
        }
    }
}

fn or_empty(digest: &Result<Digest>) -> Digest {
    digest.as_ref().map_or_else(|_| Digest::of(b""), |digest| *digest)
}

fn lost(operation: &Operation) -> pynenc_core::Error {
    pynenc_core::Error::unavailable("a child had no value").with("position", &operation.position)
}

/// What one operation calls.
struct Children<'a> {
    operation: &'a Operation,
}

impl Children<'_> {
    /// The values of all, or the first error in the order of the calls; an outer error is none of theirs.
    async fn values<T: Task>(&self, calls: Vec<Call<T>>) -> Result<std::result::Result<Vec<T::Output>, TaskError>> {
        let run = &self.operation.run;
        let mut encoded = Vec::with_capacity(calls.len());
        for call in calls {
            encoded.push(match run.engine().encode(call).await {
                Err(error) if error.is_retryable() => run.halt(Halt::PutAside(Some(Due::In(UPLOAD_PAUSE)))).await,
                call => call?,
            });
        }
        let ids = self.ids(encoded.len()).await?;
        if run.context.epoch() > 1 {
            self.check_same(&ids, &encoded).await?;
        }
        let ids = self.submitted(ids.into_iter().zip(encoded).collect()).await?;
        let mut failures = 0;
        loop {
            match run.engine().group::<T>(ids.iter().copied()).results().await {
                Ok(values) => return Ok(Ok(values)),
                Err(Error::TooManyPaused(_)) => run.pause(&mut failures).await,
                Err(error) if error.is_retryable() => run.pause(&mut failures).await,
                Err(Error::ClaimLost(_)) => pending().await,
                Err(Error::TaskFailed(error)) => return Ok(Err(error)),
                Err(error) => return Ok(Err(told(&error, run.context.attempt_number()))),
            }
        }
    }

    async fn submitted(&self, calls: Vec<(InvocationId, EncodedCall)>) -> Result<Vec<InvocationId>> {
        let run = &self.operation.run;
        let mut failures = 0;
        loop {
            let submitted = run.context.scope(run.engine().submit_encoded(calls.clone())).await;
            match submitted.and_then(|ids| ids.into_iter().collect::<Result<Vec<_>>>()) {
                Err(error) if error.is_retryable() => run.pause(&mut failures).await,
                submitted => return submitted,
            }
        }
    }

    /// The ids of the children: those of an earlier try, unless they have failed in it. So a child isn't called twice,
    /// whatever becomes of its caller, and a retry of the workflow calls again what it failed by.
    async fn ids(&self, count: usize) -> Result<Vec<InvocationId>> {
        let run = &self.operation.run;
        let (origin, tries) = {
            let replay = run.replay();
            (replay.origin, replay.tries.max(1))
        };
        let id = |child: usize, number: u32| child_id(origin, &self.operation.position, child, number);
        if tries == 1 {
            return Ok((0..count).map(|child| id(child, 0)).collect());
        }
        let candidates: Vec<_> = (0..count).flat_map(|child| (0..tries).map(move |number| id(child, number))).collect();
        let orchestrator = &run.engine().parts().orchestrator;
        let records = run.insisted(|| orchestrator.records(&candidates)).await?;
        let has_failed = |place: &usize| {
            let status = records[*place].as_ref().map(|tracked| tracked.record.status);
            status.is_some_and(|status| status.is_final() && status != Status::Success)
        };
        let tries = tries as usize;
        let chosen = (0..count).map(|child| {
            let places = child * tries..(child + 1) * tries;
            places.clone().find(|place| !has_failed(place)).unwrap_or(places.end - 1)
        });
        Ok(chosen.map(|place| candidates[place]).collect())
    }

    /// A child that was called and isn't recorded must be the one that the code calls now.
    async fn check_same(&self, ids: &[InvocationId], calls: &[EncodedCall]) -> Result<()> {
        let run = &self.operation.run;
        let state = &run.engine().parts().state;
        let records = run.insisted(|| state.invocations(ids)).await?;
        for (record, call) in records.iter().zip(calls) {
            let Some(mismatch) = record.as_ref().and_then(|record| self.difference(record, call)) else { continue };
            run.halt::<()>(Halt::Mismatch(mismatch)).await;
        }
        Ok(())
    }

    fn difference(&self, record: &InvocationRecord, call: &EncodedCall) -> Option<Mismatch> {
        let (recorded, mut found) =
            (kind::shown(kind::EXECUTE, record.task.as_str()), kind::shown(kind::EXECUTE, call.task().as_str()));
        if recorded == found {
            if self.operation.run.engine().differs(call, record).is_empty() {
                return None;
            }
            found.push_str(" with other arguments");
        }
        Some(Mismatch { position: self.operation.position.to_string(), recorded, found })
    }
}

/// The identity of a child: of an operation, which child, and the number of the try.
pub(crate) fn child_id(origin: InvocationId, position: &str, child: usize, number: u32) -> InvocationId {
    InvocationId::derived(origin.as_uuid(), &format!("child {position} {child} {number}"))
}
