//! The changes that users can make. Each action leaves a line in the audit log: an event of `tracing` with the target
//! `pynenc_web::audit`.

use std::time::Duration;

use pynenc_core::config::duration;
use pynenc_core::{InvocationId, Timestamp};
use pynenc_engine::EncodedCall;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::access::User;
use crate::model::{Submission, parse_wait, wait_for};
use crate::problem::Problem;
use crate::state::WebState;

/// A call to submit.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCall {
    /// The name of the task, or the end of its name. The program of the server must have the task.
    #[schema(example = "my_tasks::add")]
    task: String,
    /// The arguments by the names of the parameters.
    #[serde(default)]
    #[schema(value_type = std::collections::HashMap<String, Value>, example = json!({"x": 1, "y": 2}))]
    arguments: Map<String, Value>,
    /// The time before which the call doesn't run, such as `5m` from now. Excludes `at`.
    #[schema(example = "5m")]
    delay: Option<String>,
    /// The time before which the call doesn't run, in milliseconds since 1970. Excludes `delay`.
    at: Option<u64>,
    /// The priority in the queue, from 0 (last) to 9 (first).
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<u8>,
    queue: Option<String>,
    /// The key of this call: another call of the task with the same key returns the same invocation.
    idempotency_key: Option<String>,
    /// The time limit of each attempt, such as `30s`.
    #[schema(example = "30s")]
    timeout: Option<String>,
    /// How many times the invocation is retried after a failed attempt.
    max_retries: Option<u32>,
    /// The call's trace, as the header `traceparent` of W3C Trace Context.
    traceparent: Option<String>,
    /// How long the request waits for the outcome, such as `30s`; at most `5m`. Without it, the request doesn't wait.
    #[schema(example = "30s")]
    wait: Option<String>,
}

/// An event to append to the event log.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEvent {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) payload: Value,
    /// The key of the event, such as an order number; a workflow can wait for events with one key.
    #[serde(default)]
    pub(crate) key: Option<String>,
}

/// The children that are cancelled with an invocation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Children {
    /// None.
    None,
    /// The calls that the invocation waits for, and the calls that these wait for.
    #[default]
    Awaited,
    /// All, and their children.
    All,
}

/// Submits a call, and waits for its outcome if the call asks for that.
pub(crate) async fn submit(state: &WebState, user: &User, new: NewCall) -> Result<Submission, Problem> {
    let wait = new.wait.as_deref().map(parse_wait).transpose()?;
    let call = state.app.call_by_name(&new.task, &new.arguments).await?;
    let call = new.apply_options(call)?;
    let task = call.task().to_string();
    let id = state.app.submit_call(call).await?;
    audit(user, "submit", &task, Some(id));
    let outcome = match wait {
        Some(wait) => wait_for(state, id, wait).await?,
        None => None,
    };
    Ok(Submission { id, outcome })
}

impl NewCall {
    /// A call with no options but a delay.
    pub(crate) fn new(task: String, arguments: Map<String, Value>, delay: Option<String>) -> Self {
        Self {
            task,
            arguments,
            delay,
            at: None,
            priority: None,
            queue: None,
            idempotency_key: None,
            timeout: None,
            max_retries: None,
            traceparent: None,
            wait: None,
        }
    }

    fn apply_options(self, mut call: EncodedCall) -> Result<EncodedCall, Problem> {
        if self.delay.is_some() && self.at.is_some() {
            return Err(Problem::invalid_request("`delay` and `at` exclude each other"));
        }
        if let Some(delay) = self.delay {
            call = call.delay(parse_duration("delay", &delay)?);
        }
        if let Some(at) = self.at {
            call = call.at(std::time::UNIX_EPOCH + Duration::from_millis(at));
        }
        if let Some(priority) = self.priority {
            if priority > pynenc_core::record::Priority::HIGHEST {
                return Err(Problem::invalid_request(format!("`priority` is from 0 to 9, not {priority}")));
            }
            call = call.priority(priority);
        }
        if let Some(queue) = self.queue {
            call = call.queue(&queue);
        }
        if let Some(key) = self.idempotency_key {
            call = call.idempotency_key(key);
        }
        if let Some(timeout) = self.timeout {
            call = call.timeout(parse_duration("timeout", &timeout)?);
        }
        if let Some(retries) = self.max_retries {
            call = call.max_retries(retries);
        }
        if let Some(traceparent) = self.traceparent {
            call = call.traceparent(&traceparent)?;
        }
        Ok(call)
    }
}

fn parse_duration(name: &str, text: &str) -> Result<Duration, Problem> {
    duration::parse(text).map_err(|error| Problem::invalid_request(format!("`{name}`: {error}")))
}

/// Cancels an invocation. Returns whether it has finished; otherwise its runner was asked to stop it.
pub(crate) async fn cancel(
    state: &WebState,
    user: &User,
    id: InvocationId,
    children: Children,
) -> Result<bool, Problem> {
    let cancel = state.app.cancel(id);
    let finished = match children {
        Children::None => cancel.only_this().await?,
        Children::Awaited => cancel.await?,
        Children::All => cancel.with_children().await?,
    };
    audit(user, "cancel", "", Some(id));
    Ok(finished)
}

/// Submits a finished invocation again. Returns the id of the new invocation.
pub(crate) async fn retry(state: &WebState, user: &User, id: InvocationId) -> Result<InvocationId, Problem> {
    let retried = state.app.retry(id).await?;
    audit(user, "retry", &id.to_string(), Some(retried));
    Ok(retried)
}

/// Appends an event. Returns its position in the event log.
pub(crate) async fn emit(state: &WebState, user: &User, event: &NewEvent) -> Result<u64, Problem> {
    if event.name.is_empty() {
        return Err(Problem::invalid_request("the event has no name"));
    }
    let emit = state.app.emit_event(&event.name, &event.payload);
    let position = match &event.key {
        Some(key) => emit.key(key).await?,
        None => emit.await?,
    };
    audit(user, "emit", &event.name, None);
    Ok(position)
}

/// A change of a trigger.
#[cfg(feature = "triggers")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TriggerAction {
    Pause,
    Resume,
    Fire,
}

/// Pauses, resumes or fires a trigger. Returns the invocation that was submitted.
#[cfg(feature = "triggers")]
pub(crate) async fn act_on_trigger(
    state: &WebState,
    user: &User,
    id: &str,
    action: TriggerAction,
) -> Result<Option<InvocationId>, Problem> {
    use pynenc_triggers::TriggersExt;
    crate::model::trigger(state, id).await?;
    let triggers = state.app.triggers();
    let (name, invocation) = match action {
        TriggerAction::Pause => ("pause trigger", triggers.pause(id).await.map(|()| None)?),
        TriggerAction::Resume => ("resume trigger", triggers.resume(id).await.map(|()| None)?),
        TriggerAction::Fire => ("fire trigger", triggers.run_now(id).await.map(Some)?),
    };
    audit(user, name, id, invocation);
    Ok(invocation)
}

fn audit(user: &User, action: &str, subject: &str, invocation: Option<InvocationId>) {
    let invocation = invocation.map(tracing::field::display);
    let at = Timestamp::from(std::time::SystemTime::now());
    tracing::info!(
        target: "pynenc_web::audit",
        user = user.name, role = %user.role, action, subject, invocation, %at, "action in the web monitor"
    );
}
