//! One operation of a workflow, from its call until its future is dropped.

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pynenc_core::record::{Payload, TaskError};
use pynenc_core::state_backend::{JournalEntry, JournalRecord};
use pynenc_core::{Digest, ErrorKind, SerializerExt};
use pynenc_engine::task::VariantName;
use pynenc_engine::{Error, Halt, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::operation_kind;
use crate::replay::{Call, DurableWait, END, Turn, mismatch};
use crate::run::Run;

/// A chain of operations that numbers its positions by itself: the main chain of a run, or a branch of it.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    pub(crate) run: Arc<Run>,
    /// The prefix of the branch's positions.
    prefix: Arc<str>,
}

impl Branch {
    pub(crate) fn main(run: Arc<Run>) -> Self {
        Self { run, prefix: "".into() }
    }

    pub(crate) fn branch(&self, name: &str) -> Self {
        Self { run: self.run.clone(), prefix: format!("{}{name}/", self.prefix).into() }
    }

    /// Calls an operation: takes the next position of the branch.
    pub(crate) fn operation(&self, kind: &'static str, name: &str, arguments: Digest) -> Operation {
        let run = self.run.clone();
        let Call { number, position, overlaps } = run.replay().call(&self.prefix, kind, name);
        Operation { run, position, arguments, number, kind, name: name.into(), overlaps }
    }
}

/// An operation with its position in the journal. Dropping it closes the operation.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) run: Arc<Run>,
    pub(crate) position: Box<str>,
    /// The digest of the arguments, which must be the same in each run.
    pub(crate) arguments: Digest,
    number: u64,
    kind: &'static str,
    name: Box<str>,
    /// An operation that was open in the same branch at the call.
    overlaps: Option<String>,
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.run.replay().close(self.number);
        self.run.notify_changed();
    }
}

impl Operation {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn describe(&self) -> String {
        format!("{} at {}", operation_kind::describe(self.kind, &self.name), self.position)
    }

    /// Waits for the operation's turn, and returns its recorded entry; `None` if the operation has to be performed.
    pub(crate) fn replayed(&self) -> BoxFuture<'_, Result<Option<JournalRecord>>> {
        async move {
            if let Some(open) = &self.overlaps {
                return Err(Error::UnstableOrder { called: self.describe(), open: open.clone() });
            }
            self.run.replay().mark_polled(self.number);
            self.run.notify_changed();
            self.run.open().await?;
            match self.turn(&self.position).await {
                Some(recorded) => self.checked(recorded).await.map(Some),
                None => self.check_may_perform().await.map(|()| None),
            }
        }
        .boxed()
    }

    async fn turn(&self, position: &str) -> Option<JournalRecord> {
        loop {
            let changed = self.run.changed.notified();
            let turn = self.run.replay().turn(self.number, position);
            match turn {
                Turn::Replay(recorded) => {
                    self.run.notify_changed();
                    return Some(recorded);
                }
                Turn::Perform => return None,
                Turn::Wait => self.run.wait_for_change(changed).await,
            }
        }
    }

    /// Checks that an entry records this operation. Otherwise the run fails.
    async fn checked(&self, recorded: JournalRecord) -> Result<JournalRecord> {
        match mismatch(&recorded.entry, self.kind, &self.name, self.arguments) {
            Some(mismatch) => self.run.halt(Halt::Mismatch(mismatch)).await,
            None => Ok(recorded),
        }
    }

    /// Checks that the run may perform one more operation.
    async fn check_may_perform(&self) -> Result<()> {
        if self.run.shared.is_replaying {
            self.run.halt::<()>(Halt::Suspend(None)).await;
        }
        let (count, limit) = (self.run.replay().len(), self.run.config().max_steps);
        if count < limit {
            return Ok(());
        }
        let error = pynenc_core::Error::new(ErrorKind::TooLarge, "the journal of this workflow is full")
            .with("operation", self.describe())
            .with("limit", format!("workflow.max_steps = {limit}"))
            .with("advice", "do a part of the work in a workflow of its own, with `wf.execute(..)`");
        Err(Error::TooLarge(error))
    }

    /// Returns the end of an operation whose start is recorded. A sleep that was the only open operation has no entry
    /// for its end: any later entry implies that it ended.
    pub(crate) async fn end(&self) -> OperationEnd {
        let position = self.end_position();
        loop {
            let changed = self.run.changed.notified();
            let (turn, is_alone) = {
                let mut replay = self.run.replay();
                (replay.turn(self.number, &position), replay.is_alone(self.number))
            };
            match turn {
                Turn::Replay(recorded) => {
                    self.run.notify_changed();
                    return OperationEnd::Recorded(recorded);
                }
                Turn::Perform => return OperationEnd::Open,
                Turn::Wait if is_alone && self.kind == operation_kind::SLEEP => return OperationEnd::Implied,
                Turn::Wait => self.run.wait_for_change(changed).await,
            }
        }
    }

    fn end_position(&self) -> Box<str> {
        format!("{}{END}", self.position).into()
    }

    /// Whether another operation is open, or will be open in the next run.
    pub(crate) fn is_concurrent(&self) -> bool {
        !self.run.replay().stays_alone(self.number)
    }

    /// Waits for `until`. The run may be suspended meanwhile, and then goes on after `wait`.
    pub(crate) async fn wait<T>(&self, wait: DurableWait, until: impl Future<Output = T>) -> T {
        if self.run.shared.is_replaying {
            return self.run.halt(Halt::Suspend(None)).await;
        }
        let _waiting = Waiting::begin(self, wait);
        tokio::pin!(until);
        loop {
            let changed = self.run.changed.notified();
            tokio::select! {
                biased;
                value = &mut until => return value,
                () = changed => {}
                () = self.run.suspend_when_idle() => {}
            }
        }
    }

    /// Returns the recorded entry, or records the value that `value` computes.
    pub(crate) async fn once(&self, value: impl FnOnce() -> Result<Payload> + Send) -> Result<JournalRecord> {
        if let Some(recorded) = self.replayed().await? {
            return Ok(recorded);
        }
        let value = value()?;
        self.record(value).await
    }

    /// Records the operation with its value.
    pub(crate) fn record(&self, value: Payload) -> BoxFuture<'_, Result<JournalRecord>> {
        async move {
            let entry = self.entry(self.kind.into(), &self.position, value);
            self.checked(self.run.append(entry).await?).await
        }
        .boxed()
    }

    /// Records the end of an operation whose start is recorded.
    pub(crate) async fn record_end(&self, kind: &str, value: Payload) -> Result<JournalRecord> {
        self.run.append(self.entry(kind.into(), &self.end_position(), value)).await
    }

    /// Returns an error for the task function. It is recorded as the operation's failure if the function handles it and
    /// calls another operation.
    pub(crate) fn fail(&self, error: TaskError) -> Result<Error> {
        let kind = format!("{}{}", self.kind, operation_kind::FAILED).into();
        let value = self.run.serializer()?.encode(&error)?;
        let entry = self.entry(kind, &self.position, Payload::Inline(value.into()));
        self.run.replay().failed(entry);
        Ok(Error::TaskFailed(error))
    }

    /// Returns an error of the engine unchanged. It is recorded as in [`fail`](Self::fail).
    pub(crate) fn fail_with(&self, error: Error) -> Error {
        match self.fail(task_error(&error, self.run.context.attempt_number())) {
            Ok(_) => error,
            Err(worse) => worse,
        }
    }

    fn entry(&self, kind: Box<str>, position: &str, value: Payload) -> JournalEntry {
        let position = self.run.replay().recording_position(position);
        JournalEntry { position, kind, name: self.name.clone(), arguments: self.arguments, value }
    }

    /// Encodes a value for the journal. If the value can't be decoded again, the operation fails now instead of in each
    /// later run.
    pub(crate) fn encoded<T: Serialize + DeserializeOwned>(&self, value: &T) -> Result<Payload> {
        let encoded = self.run.serializer()?.encode_readable(value);
        let encoded = encoded.map_err(|error| Error::from(error.with("operation", self.describe())));
        encoded.and_then(|bytes| self.check_size(bytes)).map_err(|error| self.fail_with(error))
    }

    /// Makes a payload of an encoded value, if the value isn't too large for a journal.
    pub(crate) fn payload(&self, value: Vec<u8>) -> Result<Payload> {
        self.check_size(value).map_err(|error| self.fail_with(error))
    }

    fn check_size(&self, value: Vec<u8>) -> Result<Payload> {
        let limit = self.run.config().max_value_size;
        if value.len() > limit {
            let error = pynenc_core::Error::new(ErrorKind::TooLarge, "the value is too large for a journal")
                .with("operation", self.describe())
                .with("bytes", value.len())
                .with("limit", format!("workflow.max_value_size = {limit}"))
                .with("advice", "store the value elsewhere, and return the name under which it is found");
            return Err(Error::TooLarge(error));
        }
        Ok(Payload::Inline(value.into()))
    }

    /// Decodes the value of an entry. An entry that records a failure gives [`Error::TaskFailed`].
    pub(crate) fn value<T: DeserializeOwned>(&self, recorded: &JournalRecord) -> Result<T> {
        let Payload::Inline(bytes) = &recorded.entry.value else {
            return Err(pynenc_core::Error::corrupt("a journal entry refers to external content").into());
        };
        let serializer = self.run.serializer()?;
        if operation_kind::is_failure(&recorded.entry) {
            return Err(Error::TaskFailed(serializer.decode_as(bytes)?));
        }
        Ok(serializer.decode_as(bytes).map_err(|error| error.with("operation", self.describe()))?)
    }
}

/// Converts an error of the engine to a task error, which can be stored.
pub(crate) fn task_error(error: &Error, attempt: u32) -> TaskError {
    TaskError { kind: error.variant_name(), message: error.to_string(), source_chain: Vec::new(), attempt }
}

/// The end of an operation that has started.
#[derive(Debug)]
pub(crate) enum OperationEnd {
    /// The end is recorded.
    Recorded(JournalRecord),
    /// A later entry implies the end.
    Implied,
    /// The operation hasn't ended.
    Open,
}

/// Registers an operation's wait with the replay, until it is dropped.
struct Waiting<'a>(&'a Operation);

impl<'a> Waiting<'a> {
    fn begin(operation: &'a Operation, wait: DurableWait) -> Self {
        operation.run.replay().set_wait(operation.number, Some(wait));
        operation.run.notify_changed();
        Self(operation)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.run.replay().set_wait(self.0.number, None);
        self.0.run.notify_changed();
    }
}
