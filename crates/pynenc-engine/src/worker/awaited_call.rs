//! Calls that a task function awaits: submitted, waited for, and claimed inline if the runner has a slot.

use std::future::Future;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use pynenc_core::lane::{Called, Submission};
use pynenc_core::orchestrator::{Block, Claim, Completion};
use pynenc_core::{InvocationId, StatusRecord};

use super::inline_claim::InlineClaim;
use super::resume_caller::{CallResult, ResultReceiver, result_channel};
use super::state::Worker;
use crate::attempt::{Attempt, OpenWait, cycle_text};
use crate::context::{AwaitedCall, CallHost};
use crate::engine::{Engine, StatusChange};
use crate::error::{Error, Result};
use crate::trace_propagation::SendSpan;

impl CallHost for Worker {
    fn call<'a>(
        self: Arc<Self>,
        engine: &'a Engine,
        caller: &'a Arc<Attempt>,
        submission: &'a Submission,
        span: SendSpan,
    ) -> BoxFuture<'a, Result<AwaitedCall>> {
        Box::pin(async move {
            caller.check_may_wait()?;
            let claim = self.inline_claim(engine, caller.runner, submission);
            let reply = send_call(engine, caller, submission, claim.as_ref().map(InlineClaim::claim)).await;
            span.end(reply.as_ref().map(|_| Some(submission.record.id)));
            match reply? {
                Called::Waiting { child, claimed, end, .. } => {
                    let wait = caller.open_wait();
                    engine.log_submitted(&submission.record);
                    engine.measure_submitted(&submission.record);
                    engine.changed(&StatusChange::of(&child));
                    let (sender, receiver) = result_channel(caller);
                    let granted = claimed.map(|tracked| (tracked, sender));
                    if let Some(claim) = claim {
                        claim.conclude(engine, granted, submission);
                    }
                    let completion = completion(engine, child.id, end);
                    wait_for_result(engine, caller, child.id, wait, receiver, completion).await
                }
                Called::Registered(reply) => {
                    if let Some(claim) = claim {
                        claim.conclude(engine, None, submission);
                    }
                    Ok(AwaitedCall::Registered(reply))
                }
                Called::Cycle(path) => Err(Error::WaitCycle { path: cycle_text(&path) }),
                Called::Refused(_) => Err(caller.lost()),
            }
        })
    }
}

/// Waits for the completion of a call: for the result from this runner if it runs the call, or for the store's notification.
async fn wait_for_result(
    engine: &Engine,
    caller: &Arc<Attempt>,
    call: InvocationId,
    wait: OpenWait,
    mut receiver: ResultReceiver,
    completion: impl Future<Output = Result<StatusRecord>>,
) -> Result<AwaitedCall> {
    tokio::pin!(completion);
    let (result, notified) = tokio::select! {
        biased;
        result = receiver.receive() => (result, None),
        notified = &mut completion => (receiver.close().await, Some(notified)),
    };
    match result {
        Some(CallResult::Finished { record, outcome, resumed: Some(permit) }) => {
            wait.close_in(permit);
            return Ok(AwaitedCall::Finished { record, outcome });
        }
        Some(CallResult::Finished { record, outcome, resumed: None }) => {
            wait.close(engine).await?;
            return Ok(AwaitedCall::Finished { record, outcome });
        }
        Some(CallResult::NotFinished(permit)) => {
            wait.close_in(permit);
            let record = caller.wait(engine, &[call], engine.completion(call)).await?;
            return Ok(AwaitedCall::Finished { record, outcome: None });
        }
        None => {}
    }
    let record = match notified {
        Some(notified) => notified?,
        None => completion.await?,
    };
    wait.close(engine).await?;
    Ok(AwaitedCall::Finished { record, outcome: None })
}

/// Submits the call and pauses its caller.
async fn send_call(
    engine: &Engine,
    caller: &Attempt,
    submission: &Submission,
    claim: Option<&Claim>,
) -> Result<Called> {
    let mut seen = caller.seen().await;
    loop {
        let block = Block { waiter: caller.id(), seen: seen.clone(), runner: caller.runner, on: Vec::new() };
        match engine.lane().call(submission.clone(), &block, claim).await? {
            Called::Refused(refusal) if caller.saw_own(engine, &mut seen, &refusal).await? => {}
            reply => {
                if let Called::Waiting { waiter, .. } = &reply {
                    *seen = waiter.clone();
                }
                return Ok(reply);
            }
        }
    }
}

/// Waits until a call is finished, with the watch that was part of the round trip if there was one.
async fn completion(
    engine: &Engine,
    id: InvocationId,
    watch: Option<BoxStream<'static, Completion>>,
) -> Result<StatusRecord> {
    if let Some(mut watch) = watch {
        match watch.next().await {
            Some((_, Some(record))) => return Ok(record),
            Some((_, None)) => return Err(Error::InvocationNotFound(id)),
            None => {}
        }
    }
    engine.completion(id).await
}
