//! Settles an attempt: stores the outcome and makes the transition that commits it.

use std::time::Duration;

use pynenc_core::broker::Message;
use pynenc_core::cached::Encoded;
use pynenc_core::lane::Settlement;
use pynenc_core::orchestrator::{Tracked, Transition, TransitionReply};
use pynenc_core::record::{Outcome, Payload, TaskError};
use pynenc_core::serializer::JsonSerializer;
use pynenc_core::state_backend::OutcomeWrite;
use pynenc_core::status::{By, Change};
use pynenc_core::{Reason, Serializer, Status, StatusRecord};

use super::outcome::AttemptOutcome;
use super::resume_caller::{ResultSender, dropped_round_trip};
use super::retry::after_failure;
use super::unknown_tasks::UnknownTasks;
use crate::argument_cache::Upload;
use crate::attempt::{Attempt, Interrupt};
use crate::backoff::store_backoff;
use crate::engine::{Engine, StatusChange};
use crate::trace_propagation::AttemptEnd;
use crate::tracing::log_settled;

/// A shorter error (in bytes of JSON) is stored inline, without a look at the argument cache's limits.
const LARGE_ERROR: usize = 1024;

/// The outcome and the status change that settle an attempt.
#[derive(Debug)]
pub(super) struct Decision {
    outcome: Option<OutcomeWrite>,
    change: Change,
    /// The kind of the task function's error.
    error_kind: Option<Box<str>>,
}

/// Settles an attempt, with retries, until the store accepts the transition or reports another owner. If a caller on this
/// runner waits for the result, it is resumed in the same round trip.
pub(super) async fn settle(
    engine: &Engine,
    unknown_tasks: &UnknownTasks,
    attempt: &Attempt,
    decision: &mut Decision,
    caller: &mut Option<ResultSender>,
) {
    let mut tries = 0;
    loop {
        let Decision { outcome, change, .. } = &*decision;
        match send(engine, attempt, outcome.as_ref(), change, caller).await {
            Ok(reply) => {
                if is_unknown_task(&reply) {
                    Box::pin(hint_later(engine, unknown_tasks, attempt)).await;
                }
                return settled(engine, attempt, reply, decision);
            }
            Err(error) if error.blames_store() => {
                if tries == 0 {
                    tracing::warn!(%error, "the outcome can't be written; the attempt retries until the store is back");
                }
                if attempt.interruption() == Some(Interrupt::Lost) {
                    return;
                }
                engine.parts().clock.sleep(store_backoff(tries)).await;
                tries += 1;
            }
            Err(error) if outcome.is_some() && change.reason != Reason::ResultRejected => {
                let rejected = AttemptOutcome::rejected(&error, attempt.number());
                let Some(rejected) = Box::pin(decide(engine, attempt, rejected)).await else { return };
                *decision = rejected;
            }
            Err(error) => {
                tracing::error!(%error, "can't settle the invocation; recovery will run it again");
                return;
            }
        }
    }
}

/// Sends the settlement: the outcome, then the transition, then the hint if the invocation goes back to its queue.
async fn send(
    engine: &Engine,
    attempt: &Attempt,
    outcome: Option<&OutcomeWrite>,
    change: &Change,
    caller: &mut Option<ResultSender>,
) -> Result<TransitionReply, pynenc_core::Error> {
    let mut resuming = if change.to.is_final() { caller.take().and_then(ResultSender::begin) } else { None };
    let requeue = change.to.is_claimable() && change.reason != Reason::UnknownTask;
    let mut seen = attempt.seen().await;
    loop {
        let transition = Transition { id: attempt.id(), seen: seen.clone(), change: change.clone() };
        let requeue = requeue.then(|| Message { not_before: None, ..attempt.tracked.message() });
        let settlement = Settlement { outcome: outcome.cloned(), transition, requeue };
        let reply = match resuming.take() {
            Some(resuming) => Box::pin(resuming.settle(engine, settlement)).await?,
            None => engine.settles().send(settlement).await.unwrap_or_else(dropped_round_trip)?,
        };
        match &reply {
            TransitionReply::Refused(refusal) if attempt.saw_own(engine, &mut seen, refusal).await? => {}
            _ => return Ok(reply),
        }
    }
}

fn is_unknown_task(reply: &TransitionReply) -> bool {
    match reply {
        TransitionReply::Done { record, .. } | TransitionReply::AlreadyMine(record) => {
            record.reason == Reason::UnknownTask && record.is_queued()
        }
        TransitionReply::Refused(_) => false,
    }
}

/// Pushes a delayed hint for an unknown task, which another runner or a newer version of this one may know.
async fn hint_later(engine: &Engine, unknown_tasks: &UnknownTasks, attempt: &Attempt) {
    engine.hint(&[unknown_tasks.hint(&attempt.tracked, engine.parts().clock.now())]).await;
}

fn settled(engine: &Engine, attempt: &Attempt, reply: TransitionReply, decision: &Decision) {
    let Tracked { id, task, queue, .. } = &attempt.tracked;
    match reply {
        TransitionReply::Done { record, .. } | TransitionReply::AlreadyMine(record) => {
            log_settled(&record, decision.change.detail.as_deref());
            if let (Some(metrics), Some(size)) = (engine.metrics(), decision.result_size()) {
                metrics.returned(task, queue, size);
            }
            let error_kind = decision.error_kind.as_deref();
            engine.changed(&StatusChange { id: *id, task, queue, record: &record, error_kind });
            if attempt.trace.get().is_some() {
                attempt.end_trace(&end_of(&record, decision));
            }
            attempt.settled_as(record);
        }
        TransitionReply::Refused(refusal) => {
            if let Some(metrics) = engine.metrics() {
                metrics.lost_claim(task, queue);
            }
            tracing::info!(%refusal, "the claim was lost; the outcome of the task function isn't recorded");
        }
    }
}

/// The end of an attempt that was settled.
fn end_of<'a>(record: &'a StatusRecord, decision: &'a Decision) -> AttemptEnd<'a> {
    let status = record.status;
    if !matches!(status, Status::Failed | Status::Retry) {
        return AttemptEnd::Settled(status);
    }
    let kind = decision.error_kind.as_deref().unwrap_or_else(|| record.reason.as_str());
    AttemptEnd::Failed { status, kind, message: decision.change.detail.as_deref().unwrap_or_default() }
}

impl Decision {
    fn new(outcome: Option<OutcomeWrite>, change: Change) -> Self {
        Self { outcome, change, error_kind: None }
    }

    /// The size of the result in bytes, if the task function returned one.
    fn result_size(&self) -> Option<u64> {
        match self.outcome.as_ref().map(|write| &write.outcome) {
            Some(Outcome::Value { value, .. }) => Some(value.size()),
            _ => None,
        }
    }
}

/// Decides what to store and which transition to make for an attempt's outcome, and uploads large values. Nothing is
/// decided if another runner owns the invocation.
pub(super) async fn decide(engine: &Engine, attempt: &Attempt, outcome: AttemptOutcome) -> Option<Decision> {
    let by = By::Owner(attempt.runner);
    let write = |outcome| OutcomeWrite { id: attempt.id(), epoch: attempt.epoch(), outcome };
    Some(match outcome {
        AttemptOutcome::Returned(bytes) => match stored(engine, bytes.into()).await {
            Ok(value) => {
                let outcome = Outcome::Value { value, serializer: attempt.record.serializer.clone() };
                Decision::new(Some(write(outcome)), Change::new(Status::Success, by, Reason::Returned))
            }
            Err(error) => Box::pin(decide(engine, attempt, AttemptOutcome::rejected(&error, attempt.number()))).await?,
        },
        AttemptOutcome::Failed { error, reason, retry } => {
            let task = engine.tasks().find(attempt.tracked.task.as_str())?;
            let retries = attempt.tracked.record.retries;
            let error_kind = Some(error.kind.as_str().into());
            let failure = (error, reason, retry);
            let (error, change) = after_failure(&task.options, &attempt.record, retries, attempt.runner, failure);
            let outcome = match error {
                Some(error) => Some(write(Box::pin(error_outcome(engine, attempt, error)).await)),
                None => None,
            };
            Decision { outcome, change, error_kind }
        }
        AttemptOutcome::Unrunnable { reason, detail } => {
            Decision::new(None, Change::new(Status::Failed, by, reason).detail(detail))
        }
        AttemptOutcome::Suspended(due) => {
            Decision::new(None, Change { due, ..Change::new(Status::Scheduled, by, Reason::Suspended) })
        }
        AttemptOutcome::Cancelled => Decision::new(None, Change::new(Status::Cancelled, by, Reason::CancelRequested)),
        AttemptOutcome::GivenBack { reason } => Decision::new(None, Change::new(Status::Rerouted, by, reason)),
        AttemptOutcome::Lost => return None,
    })
}

/// Makes an outcome of an error. If the error can't be stored, the outcome says so.
async fn error_outcome(engine: &Engine, attempt: &Attempt, error: TaskError) -> Outcome {
    let large = match JsonSerializer.encode(&error) {
        Ok(text) if text.len() >= LARGE_ERROR => stored(engine, text.into()).await,
        _ => return Outcome::Error(error),
    };
    match large {
        Ok(Payload::Inline(_)) => Outcome::Error(error),
        Ok(content) => Outcome::LargeError(content),
        Err(refusal) => Outcome::Error(TaskError {
            kind: error.kind,
            message: format!("the error can't be stored: {refusal}"),
            source_chain: Vec::new(),
            attempt: attempt.number(),
        }),
    }
}

/// Makes a payload of a value, and uploads it to the argument cache if it is large.
async fn stored(engine: &Engine, value: Encoded) -> Result<Payload, pynenc_core::Error> {
    let (payload, upload) = engine.large_values().externalize(value, true)?;
    if let Some(upload) = upload {
        Box::pin(upload_large(engine, upload)).await?;
    }
    Ok(payload)
}

/// Uploads a large value, with retries, until the store accepts or refuses it.
async fn upload_large(engine: &Engine, upload: Upload) -> Result<(), pynenc_core::Error> {
    let mut tries = 0;
    loop {
        match engine.large_values().send(vec![upload.clone()], Duration::ZERO).await {
            Err(error) if error.blames_store() => engine.parts().clock.sleep(store_backoff(tries)).await,
            result => return result,
        }
        tries += 1;
    }
}
