//! One invocation with its call, its history and its outcome.

use std::time::Duration;

use pynenc_core::orchestrator::HistoryEntry;
use pynenc_core::record::InvocationRecord;
use pynenc_core::{InvocationId, Reason, RunnerId, Status, Timestamp, reads};
use pynenc_engine::task::VariantName;
use pynenc_engine::{Error, Why};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::invocations::InvocationRow;
use super::parse::parse_wait;
use crate::problem::Problem;
use crate::state::WebState;

/// An invocation with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Invocation {
    #[serde(flatten)]
    pub(crate) row: InvocationRow,
    /// The arguments by name; missing unless they are shown in full.
    pub(crate) argument_values: Option<Value>,
    /// Why the invocation isn't running, or what it does, in a sentence.
    pub(crate) why: String,
    /// The result or the error; missing until the invocation has finished.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) history: Vec<HistoryLine>,
    /// The invocations that its task function called.
    #[schema(value_type = Vec<String>)]
    pub(crate) children: Vec<InvocationId>,
    /// The invocation whose task function made the call.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub(crate) parent: Option<InvocationId>,
    /// The finished invocation that this one repeats.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub(crate) retry_of: Option<InvocationId>,
    /// The invocation that started the workflow.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub(crate) workflow: Option<InvocationId>,
    /// The W3C trace context of the call.
    pub(crate) traceparent: Option<String>,
}

/// The outcome of an invocation.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Outcome {
    /// Whether the invocation has finished.
    pub(crate) finished: bool,
    #[schema(value_type = String, example = "success")]
    pub(crate) status: Status,
    /// The result of a successful invocation, as `web.arguments` says.
    pub(crate) value: Option<Value>,
    /// Why there is no value.
    pub(crate) error: Option<Failure>,
}

/// Why an invocation has no value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Failure {
    /// The name of the variant of the library's error type, such as `TaskFailed`.
    #[schema(example = "TaskFailed")]
    pub(crate) kind: String,
    /// For `TaskFailed`, the kind of the task function's own error.
    pub(crate) task_error: Option<String>,
    /// The message, as `web.arguments` says.
    pub(crate) message: Option<String>,
    /// The messages of the sources of the task function's error, nearest first.
    pub(crate) sources: Vec<String>,
}

/// One run of the task function, under one claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Attempt {
    /// The number of the claim, from 1.
    pub(crate) number: u32,
    #[schema(value_type = Option<String>, format = Uuid)]
    pub(crate) runner: Option<RunnerId>,
    pub(crate) claimed_at: u64,
    /// When the task function started; missing if it never did.
    pub(crate) started_at: Option<u64>,
    /// When the attempt was over; missing while it runs.
    pub(crate) ended_at: Option<u64>,
    /// The status after the attempt, or the present one.
    #[schema(value_type = String)]
    pub(crate) status: Status,
    pub(crate) reason: String,
    /// The error of the attempt, as `web.arguments` says.
    pub(crate) error: Option<String>,
    /// The statuses of the invocation during the attempt, in order.
    pub(crate) spans: Vec<Span>,
}

/// A line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct HistoryLine {
    pub(crate) at: u64,
    #[schema(value_type = String)]
    pub(crate) status: Status,
    pub(crate) reason: String,
    #[schema(value_type = Option<String>, format = Uuid)]
    pub(crate) runner: Option<RunnerId>,
    pub(crate) version: u64,
    pub(crate) epoch: u64,
    /// More about the reason, such as an error message, as `web.arguments` says.
    pub(crate) detail: Option<String>,
}

/// A time in which an invocation had one status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Span {
    #[schema(value_type = String)]
    pub(crate) status: Status,
    pub(crate) from: u64,
    /// Missing for the present status.
    pub(crate) to: Option<u64>,
    #[schema(value_type = Option<String>, format = Uuid)]
    pub(crate) runner: Option<RunnerId>,
}

/// An accepted call.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Submission {
    #[schema(value_type = String, format = Uuid)]
    pub(crate) id: InvocationId,
    /// The outcome, if the request waited for it and the invocation finished in time.
    pub(crate) outcome: Option<Outcome>,
}

/// Reads an invocation.
pub(crate) async fn invocation(state: &WebState, id: InvocationId) -> Result<Invocation, Problem> {
    let parts = state.app.parts();
    let inspection = parts.orchestrator.inspect(&[id]).await?.pop().flatten();
    let inspection = inspection.ok_or(Error::InvocationNotFound(id))?;
    let record = parts.state.invocations(&[id]).await?.pop().flatten();
    let why = why(state, id).await?.to_string();
    let is_final = inspection.tracked.record.status.is_final();
    let has = |of: fn(&InvocationRecord) -> Option<InvocationId>| record.as_deref().and_then(of);
    Ok(Invocation {
        argument_values: match &record {
            Some(record) => state.argument_values(record).await,
            None => None,
        },
        why,
        outcome: if is_final { Some(outcome(state, id).await?) } else { None },
        attempts: attempts(&inspection.history, state),
        history: inspection.history.iter().map(|entry| HistoryLine::new(entry, state)).collect(),
        children: reads::children(&*parts.state, id).await?,
        parent: has(|record| record.parent),
        retry_of: has(|record| record.retry_of),
        workflow: has(|record| record.workflow.map(|workflow| workflow.id)),
        traceparent: record.as_ref().and_then(|it| it.trace.as_ref()).map(|trace| trace.traceparent.to_string()),
        row: InvocationRow::new(inspection.tracked, record.as_deref(), state),
    })
}

/// Why an invocation isn't running. The detail of a finished invocation is an error message, which may be hidden.
pub(crate) async fn why(state: &WebState, id: InvocationId) -> Result<Why, Problem> {
    Ok(match state.app.why(id).await? {
        Why::Finished { status, reason, detail } => {
            let detail = detail.and_then(|detail| state.text(&detail)).map(Into::into);
            Why::Finished { status, reason, detail }
        }
        why => why,
    })
}

/// Waits until an invocation has finished, and reads its outcome.
async fn outcome(state: &WebState, id: InvocationId) -> Result<Outcome, Problem> {
    let result = state.app.result::<Value>(id).await;
    if let Err(error @ (Error::Unavailable { .. } | Error::InvocationNotFound(_))) = result {
        return Err(error.into());
    }
    let status = state.app.status(id).await?.status;
    Ok(match result {
        Ok(value) => Outcome { finished: true, status, value: state.value(value), error: None },
        Err(error) => Outcome { finished: true, status, value: None, error: Some(Failure::new(&error, state)) },
    })
}

/// Waits for the outcome of an invocation; `None` if it doesn't finish in time, or the server stops.
pub(crate) async fn wait_for(state: &WebState, id: InvocationId, wait: Duration) -> Result<Option<Outcome>, Problem> {
    if state.app.status(id).await?.status.is_final() {
        return outcome(state, id).await.map(Some);
    }
    tokio::select! {
        outcome = outcome(state, id) => outcome.map(Some),
        () = tokio::time::sleep(wait) => Ok(None),
        () = state.closed() => Ok(None),
    }
}

/// Waits for the outcome of an invocation. If it doesn't finish in time, the reply has its present status.
pub(crate) async fn outcome_within(state: &WebState, id: InvocationId, wait: Option<&str>) -> Result<Outcome, Problem> {
    let wait = wait.map(parse_wait).transpose()?.unwrap_or_default();
    if let Some(outcome) = wait_for(state, id, wait).await? {
        return Ok(outcome);
    }
    let status = state.app.status(id).await?.status;
    Ok(Outcome { finished: false, status, value: None, error: None })
}

impl Failure {
    fn new(error: &Error, state: &WebState) -> Self {
        let (task_error, sources) = match error {
            Error::TaskFailed(error) => (Some(error.kind.clone()), &error.source_chain[..]),
            _ => (None, &[][..]),
        };
        Self {
            kind: error.variant_name(),
            task_error,
            message: state.text(&error.to_string()),
            sources: sources.iter().filter_map(|source| state.text(source)).collect(),
        }
    }
}

impl HistoryLine {
    fn new(entry: &HistoryEntry, state: &WebState) -> Self {
        Self {
            at: entry.at.as_millis(),
            status: entry.status,
            reason: entry.reason.to_string(),
            runner: entry.runner,
            version: entry.version,
            epoch: entry.epoch,
            detail: entry.detail.as_deref().and_then(|detail| state.text(detail)),
        }
    }
}

/// The times in which an invocation had one status.
pub(crate) fn spans(history: &[HistoryEntry]) -> Vec<Span> {
    let ends = history.iter().skip(1).map(|entry| Some(entry.at)).chain([None]);
    let span = |(entry, to): (&HistoryEntry, Option<Timestamp>)| Span {
        status: entry.status,
        from: entry.at.as_millis(),
        to: to.map(Timestamp::as_millis),
        runner: entry.runner.filter(|_| entry.status.is_owned()),
    };
    history.iter().zip(ends).map(span).collect()
}

/// The runs of the task function. Each begins with a claim and ends with the first status without an owner.
fn attempts(history: &[HistoryEntry], state: &WebState) -> Vec<Attempt> {
    let spans = spans(history);
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut is_open = false;
    for (entry, span) in history.iter().zip(spans) {
        if entry.reason == Reason::Claimed {
            is_open = true;
            attempts.push(Attempt {
                number: u32::try_from(attempts.len() + 1).unwrap_or(u32::MAX),
                runner: entry.runner,
                claimed_at: entry.at.as_millis(),
                started_at: None,
                ended_at: None,
                status: entry.status,
                reason: entry.reason.to_string(),
                error: None,
                spans: Vec::new(),
            });
        }
        let Some(attempt) = attempts.last_mut().filter(|_| is_open) else { continue };
        (attempt.status, attempt.reason) = (entry.status, entry.reason.to_string());
        if entry.reason == Reason::Started {
            attempt.started_at = Some(entry.at.as_millis());
        }
        if entry.status.is_owned() {
            attempt.spans.push(span);
        } else {
            is_open = false;
            attempt.ended_at = Some(entry.at.as_millis());
            attempt.error = entry.detail.as_deref().and_then(|detail| state.text(detail));
        }
    }
    attempts
}
