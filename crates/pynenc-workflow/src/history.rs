//! Exports a run to a file, and restores it for a replay.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use pynenc_core::record::{Argument, InvocationRecord, Payload, Priority, Registration, WorkflowIdentity};
use pynenc_core::state_backend::{JournalEntry, JournalOpening, JournalRecord};
use pynenc_core::{InvocationId, TaskId, Timestamp};
use pynenc_engine::{Engine, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the file's format.
const FORMAT: u32 = 1;

/// An exported run of a workflow: the call and the recorded operations.
///
/// [`Workflows::export`](crate::Workflows::export) makes it. It serializes to a file, and `pynenc::testing::replay`
/// replays it against the current code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// The version of the file's format: 1.
    pub format: u32,
    /// The id of the run.
    pub invocation: InvocationId,
    /// The id of the workflow.
    pub workflow: InvocationId,
    /// The task.
    pub task: TaskId,
    /// The name of the serializer that wrote all values.
    pub serializer: String,
    /// The arguments of the call.
    pub arguments: Vec<HistoryArgument>,
    /// The recorded operations, in their order.
    pub steps: Vec<HistoryStep>,
}

/// An argument of the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryArgument {
    /// The name of the parameter.
    pub name: String,
    /// The value of the argument.
    pub value: HistoryValue,
}

/// A recorded operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryStep {
    /// The position in the journal: a path of branch names and a number.
    pub position: String,
    /// The kind of the operation, such as `step`.
    pub kind: String,
    /// The name of the step, task, event or key.
    pub name: String,
    /// The digest of the arguments, in hexadecimal digits.
    pub arguments: String,
    /// The time of the recording, in milliseconds since the Unix epoch.
    pub at: Timestamp,
    /// The recorded value.
    pub value: HistoryValue,
}

/// A serialized value in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryValue {
    /// A value that the serializer wrote as JSON.
    Json(Value),
    /// The bytes of any other value, and of JSON with an integer beyond 64 bits, in hexadecimal digits.
    Hex(String),
}

impl History {
    pub(crate) async fn of(engine: &Engine, id: InvocationId) -> Result<Self> {
        let state = &engine.parts().state;
        let journal = state.journal(id).await?.ok_or(Error::InvocationNotFound(id))?;
        let record = state.invocations(&[id]).await?.pop().flatten().ok_or(Error::InvocationNotFound(id))?;
        let mut arguments = Vec::with_capacity(record.arguments.len());
        for argument in &record.arguments {
            let value = HistoryValue::of(&engine.bytes(&argument.value).await?, &record.serializer);
            arguments.push(HistoryArgument { name: argument.name.to_string(), value });
        }
        let mut steps = Vec::with_capacity(journal.entries.len());
        for recorded in journal.entries {
            steps.push(HistoryStep::of(engine, recorded, &record.serializer).await?);
        }
        Ok(Self {
            format: FORMAT,
            invocation: id,
            workflow: record.workflow.map_or(journal.origin, |workflow| workflow.id),
            task: record.task.clone(),
            serializer: record.serializer.to_string(),
            arguments,
            steps,
        })
    }

    /// Puts the run into an app, where it waits for a runner. Use an app of its own with stores in memory.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for another format, or a value that isn't in hexadecimal digits; [`Error::UnknownTask`] for a
    /// task that the app doesn't have.
    pub async fn restore(&self, engine: &Engine) -> Result<InvocationId> {
        if self.format != FORMAT {
            let error = pynenc_core::Error::invalid("this program can't read the format of the history");
            return Err(Error::Invalid(error.with("found", self.format).with("supported", FORMAT)));
        }
        let task = self.task.as_str();
        let task = engine.tasks().find(task).ok_or_else(|| engine.tasks().unknown(task))?;
        let (parts, id) = (engine.parts(), self.invocation);
        let workflow = Some(self.workflow);
        parts.state.open_journal(&JournalOpening { id, epoch: 0, attempt: 0, workflow, takes_over: None }).await?;
        let entries = self.steps.iter().map(HistoryStep::entry).collect::<Result<Vec<_>>>()?;
        parts.state.append_journal(id, 0, &entries).await?;
        parts.state.put_invocations(&[Arc::new(self.record(task.options().queue.as_str())?)]).await?;
        let registration = Registration::new(id, self.task.clone(), task.options().queue.as_str().into());
        parts.orchestrator.register(&[registration]).await?;
        Ok(id)
    }

    /// Makes the record of the call. It has no retries, so that a replay reports a failure at once.
    fn record(&self, queue: &str) -> Result<InvocationRecord> {
        let argument = |it: &HistoryArgument| {
            let value = Payload::Inline(it.value.bytes()?.into());
            Ok::<_, Error>(Argument { name: Cow::Owned(it.name.clone()), value })
        };
        Ok(InvocationRecord {
            id: self.invocation,
            task: self.task.clone(),
            arguments: self.arguments.iter().map(argument).collect::<Result<_>>()?,
            serializer: Cow::Owned(self.serializer.clone()),
            queue: queue.into(),
            priority: Priority::default(),
            timeout: None,
            max_retries: Some(0),
            parent: None,
            workflow: Some(WorkflowIdentity { id: self.workflow, parent: None }),
            retry_of: None,
            trace: None,
            created_at: Timestamp::default(),
            due: None,
        })
    }
}

impl HistoryStep {
    async fn of(engine: &Engine, recorded: JournalRecord, serializer: &str) -> Result<Self> {
        let JournalRecord { entry, at } = recorded;
        Ok(Self {
            value: HistoryValue::of(&engine.bytes(&entry.value).await?, serializer),
            position: entry.position.into(),
            kind: entry.kind.into(),
            name: entry.name.into(),
            arguments: entry.arguments.to_string(),
            at,
        })
    }

    fn entry(&self) -> Result<JournalEntry> {
        Ok(JournalEntry {
            position: self.position.as_str().into(),
            kind: self.kind.as_str().into(),
            name: self.name.as_str().into(),
            arguments: self.arguments.parse()?,
            value: Payload::Inline(self.value.bytes()?.into()),
        })
    }
}

impl HistoryValue {
    fn of(bytes: &[u8], serializer: &str) -> Self {
        let json = serializer.starts_with("Json").then(|| serde_json::from_slice(bytes).ok()).flatten();
        json.filter(is_exact).map_or_else(|| Self::Hex(to_hex(bytes)), Self::Json)
    }

    fn bytes(&self) -> Result<Vec<u8>> {
        match self {
            Self::Json(value) => serde_json::to_vec(value).map_err(Error::other),
            Self::Hex(text) => from_hex(text).ok_or_else(|| {
                Error::Invalid(
                    pynenc_core::Error::invalid("a value in the history isn't in hexadecimal digits")
                        .with("text", text),
                )
            }),
        }
    }
}

/// Whether a parsed JSON value kept all digits. An integer beyond 64 bits is parsed as a float.
fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_f64() || number.as_f64().is_some_and(|float| float.abs() < 2_f64.powi(63)),
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(fields) => fields.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let is_whole = text.is_ascii() && text.len().is_multiple_of(2);
    is_whole.then(|| {
        (0..text.len()).step_by(2).map(|index| u8::from_str_radix(&text[index..index + 2], 16).ok()).collect()
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_in_a_history_keeps_every_digit() {
        for (json, is_readable) in [
            (r#"{"a":[1.5,18446744073709551615,-9223372036854775808]}"#, true),
            ("340282366920938463463374607431768211455", false),
            (r#"[{"a":-9223372036854775809}]"#, false),
        ] {
            let value = HistoryValue::of(json.as_bytes(), "JsonSerializer");
            assert_eq!(matches!(value, HistoryValue::Json(_)), is_readable, "{json}");
            assert_eq!(value.bytes().unwrap(), json.as_bytes());
        }
    }
}
