//! A run as a file: what was called, and what was recorded.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use pynenc_core::record::{Argument, InvocationRecord, Payload, Priority, Registration, WorkflowIdentity};
use pynenc_core::state_backend::{JournalEntry, JournalOpening, Recorded};
use pynenc_core::{InvocationId, TaskId, Timestamp};
use pynenc_engine::{Engine, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The form of the file. A later one may be read by programs of its time alone.
const FORMAT: u32 = 1;

/// A run of a workflow, to be kept in a file and replayed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// The form of the file.
    pub format: u32,
    /// The invocation.
    pub invocation: InvocationId,
    /// The workflow.
    pub workflow: InvocationId,
    /// The task.
    pub task: TaskId,
    /// The serializer of all values.
    pub serializer: String,
    /// What it was called with.
    pub arguments: Vec<HistoryArgument>,
    /// What was recorded, in its order.
    pub steps: Vec<HistoryStep>,
}

/// An argument of the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryArgument {
    /// The parameter.
    pub name: String,
    /// The value.
    pub value: Held,
}

/// A recorded operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryStep {
    /// Its position.
    pub position: String,
    /// What kind of operation.
    pub kind: String,
    /// Which one of its kind.
    pub name: String,
    /// The digest of what it was called with, in hexadecimal digits.
    pub arguments: String,
    /// When it was recorded, in milliseconds since the Unix epoch.
    pub at: Timestamp,
    /// Its value.
    pub value: Held,
}

/// A serialized value in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// A value that is JSON.
    Json(Value),
    /// Any other, and JSON with an integer beyond 64 bits: its bytes in hexadecimal digits.
    Hex(String),
}

impl History {
    pub(crate) async fn of(engine: &Engine, id: InvocationId) -> Result<Self> {
        let state = &engine.parts().state;
        let journal = state.journal(id).await?.ok_or(Error::InvocationNotFound(id))?;
        let record = state.invocations(&[id]).await?.pop().flatten().ok_or(Error::InvocationNotFound(id))?;
        let mut arguments = Vec::with_capacity(record.arguments.len());
        for argument in &record.arguments {
            let value = Held::of(&engine.bytes(&argument.value).await?, &record.serializer);
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

    /// Puts the run into an app of its own, where it waits for a runner.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a file that can't be one; [`Error::UnknownTask`].
    pub async fn restore(&self, engine: &Engine) -> Result<InvocationId> {
        if self.format != FORMAT {
            let error = pynenc_core::Error::invalid("the history is of a form that this program doesn't know");
            return Err(Error::Invalid(error.with("found", self.format).with("known", FORMAT)));
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

    /// A failure of the body is told, and not repeated.
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
        })
    }
}

impl HistoryStep {
    async fn of(engine: &Engine, recorded: Recorded, serializer: &str) -> Result<Self> {
        let Recorded { entry, at } = recorded;
        Ok(Self {
            value: Held::of(&engine.bytes(&entry.value).await?, serializer),
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

impl Held {
    fn of(bytes: &[u8], serializer: &str) -> Self {
        let json = serializer.starts_with("Json").then(|| serde_json::from_slice(bytes).ok()).flatten();
        json.filter(is_exact).map_or_else(|| Self::Hex(hexed(bytes)), Self::Json)
    }

    fn bytes(&self) -> Result<Vec<u8>> {
        match self {
            Self::Json(value) => serde_json::to_vec(value).map_err(Error::other),
            Self::Hex(text) => unhexed(text).ok_or_else(|| {
                Error::Invalid(pynenc_core::Error::invalid("not hexadecimal digits").with("text", text))
            }),
        }
    }
}

/// Whether a JSON value has every digit of its text: an integer beyond 64 bits has become a float.
fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_f64() || number.as_f64().is_some_and(|float| float.abs() < 2_f64.powi(63)),
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(fields) => fields.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

fn hexed(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string doesn't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhexed(text: &str) -> Option<Vec<u8>> {
    let is_whole = text.is_ascii() && text.len().is_multiple_of(2);
    is_whole.then(|| (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_in_a_file_keeps_every_digit() {
        for (json, is_readable) in [
            (r#"{"a":[1.5,18446744073709551615,-9223372036854775808]}"#, true),
            ("340282366920938463463374607431768211455", false),
            (r#"[{"a":-9223372036854775809}]"#, false),
        ] {
            let held = Held::of(json.as_bytes(), "JsonSerializer");
            assert_eq!(matches!(held, Held::Json(_)), is_readable, "{json}");
            assert_eq!(held.bytes().unwrap(), json.as_bytes());
        }
    }
}
