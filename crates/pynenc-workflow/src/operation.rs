//! One operation, from its call to the end of its future.

use std::future::Future;
use std::sync::Arc;

use pynenc_core::record::{Payload, TaskError};
use pynenc_core::state_backend::{JournalEntry, Recorded};
use pynenc_core::{Digest, ErrorKind, SerializerExt};
use pynenc_engine::returns::VariantName;
use pynenc_engine::{Error, Halt, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::kind;
use crate::replay::{END, Place, Turn, Wait, mismatch};
use crate::run::Run;
use crate::workflow::Workflow;

/// An operation with its place in the journal. Dropped, it is over.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) run: Arc<Run>,
    pub(crate) position: Box<str>,
    pub(crate) arguments: Digest,
    number: u64,
    kind: &'static str,
    name: Box<str>,
    overlaps: Option<String>,
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.run.replay().close(self.number);
        self.run.tell();
    }
}

impl Operation {
    /// Takes the place of a call.
    pub(crate) fn call(workflow: &Workflow, kind: &'static str, name: &str, arguments: Digest) -> Self {
        let run = workflow.run.clone();
        let Place { number, position, overlaps } = run.replay().call(&workflow.branch, kind, name);
        Self { run, position, arguments, number, kind, name: name.into(), overlaps }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn shown(&self) -> String {
        format!("{} at {}", kind::shown(self.kind, &self.name), self.position)
    }

    /// What is recorded of the operation, or nothing: then it is to be performed.
    pub(crate) async fn replayed(&self) -> Result<Option<Recorded>> {
        if let Some(open) = &self.overlaps {
            return Err(Error::UnstableOrder { called: self.shown(), open: open.clone() });
        }
        self.run.replay().polled(self.number);
        self.run.tell();
        self.run.open().await?;
        match self.turn(&self.position).await {
            Some(recorded) => self.checked(recorded).await.map(Some),
            None => self.live().await.map(|()| None),
        }
    }

    /// Waits for the turn of a position.
    async fn turn(&self, position: &str) -> Option<Recorded> {
        loop {
            let changed = self.run.changed.notified();
            let turn = self.run.replay().turn(self.number, position);
            match turn {
                Turn::Recorded(recorded) => {
                    self.run.tell();
                    return Some(recorded);
                }
                Turn::Live => return None,
                Turn::Later => self.run.stall(changed).await,
            }
        }
    }

    async fn checked(&self, recorded: Recorded) -> Result<Recorded> {
        match mismatch(&recorded.entry, self.kind, &self.name, self.arguments) {
            Some(mismatch) => self.run.halt(Halt::Mismatch(mismatch)).await,
            None => Ok(recorded),
        }
    }

    /// Checks that one more operation may be performed.
    async fn live(&self) -> Result<()> {
        if self.run.extension().is_replaying {
            self.run.halt::<()>(Halt::PutAside(None)).await;
        }
        let (count, limit) = (self.run.replay().len(), self.run.config().max_steps);
        if count < limit {
            return Ok(());
        }
        let error = pynenc_core::Error::new(ErrorKind::TooLarge, "the journal of this workflow is full")
            .with("operation", self.shown())
            .with("limit", format!("workflow.max_steps = {limit}"))
            .with("advice", "do a part of the work in a workflow of its own, with `wf.execute(..)`");
        Err(Error::TooLarge(error))
    }

    /// The end of an operation that is recorded beside its beginning: `None` when it is still to come. What was open
    /// alone needs no such entry: that anything is recorded behind it says that it has ended.
    pub(crate) async fn ended(&self) -> Ended {
        let position = self.end();
        loop {
            let changed = self.run.changed.notified();
            let (turn, is_alone) = {
                let mut replay = self.run.replay();
                (replay.turn(self.number, &position), replay.is_alone(self.number))
            };
            match turn {
                Turn::Recorded(recorded) => {
                    self.run.tell();
                    return Ended::Recorded(recorded);
                }
                Turn::Live => return Ended::Open,
                Turn::Later if is_alone && self.kind == kind::SLEEP => return Ended::Implied,
                Turn::Later => self.run.stall(changed).await,
            }
        }
    }

    fn end(&self) -> Box<str> {
        format!("{}{END}", self.position).into()
    }

    /// Whether something else is open, or will be in the next run.
    pub(crate) fn has_company(&self) -> bool {
        !self.run.replay().stays_alone(self.number)
    }

    /// Waits for something while the body needn't be in memory.
    pub(crate) async fn wait<T>(&self, wait: Wait, until: impl Future<Output = T>) -> T {
        if self.run.extension().is_replaying {
            return self.run.halt(Halt::PutAside(None)).await;
        }
        let _waiting = Waiting::begin(self, wait);
        tokio::pin!(until);
        loop {
            let changed = self.run.changed.notified();
            tokio::select! {
                biased;
                come = &mut until => return come,
                () = changed => {}
                () = self.run.put_aside_when_idle() => {}
            }
        }
    }

    /// What is recorded of the operation; where nothing is, a value that is there at once.
    pub(crate) async fn once(&self, value: impl FnOnce() -> Result<Payload> + Send) -> Result<Recorded> {
        if let Some(recorded) = self.replayed().await? {
            return Ok(recorded);
        }
        let value = value()?;
        self.record(value).await
    }

    /// Records the operation with its value.
    pub(crate) async fn record(&self, value: Payload) -> Result<Recorded> {
        let entry = self.entry(self.kind.into(), &self.position, value);
        self.checked(self.run.append(entry).await?).await
    }

    /// Records the end of an operation beside its beginning.
    pub(crate) async fn record_end(&self, kind: &str, value: Payload) -> Result<Recorded> {
        self.run.append(self.entry(kind.into(), &self.end(), value)).await
    }

    /// Keeps the failure of the operation in mind, which is recorded when the body goes on from it, and gives it.
    pub(crate) fn fail(&self, error: TaskError) -> Result<Error> {
        let kind = format!("{}{}", self.kind, kind::FAILED).into();
        let value = self.run.serializer()?.encode(&error)?;
        let entry = self.entry(kind, &self.position, Payload::Inline(value.into()));
        self.run.replay().failed(entry);
        Ok(Error::TaskFailed(error))
    }

    /// Keeps an error of the operation itself in mind as its failure, and gives it as it is.
    pub(crate) fn fail_by(&self, error: Error) -> Error {
        match self.fail(told(&error, self.run.context.attempt_number())) {
            Ok(_) => error,
            Err(worse) => worse,
        }
    }

    fn entry(&self, kind: Box<str>, position: &str, value: Payload) -> JournalEntry {
        let position = self.run.replay().to_record_at(position);
        JournalEntry { position, kind, name: self.name.clone(), arguments: self.arguments, value }
    }

    /// A value as it is recorded. One that can't be read back fails the operation, and not each later run of the body.
    pub(crate) fn encoded<T: Serialize + DeserializeOwned>(&self, value: &T) -> Result<Payload> {
        let encoded = self.run.serializer()?.encode_readable(value);
        let encoded = encoded.map_err(|error| error.with("operation", self.shown()));
        encoded.map_err(Error::from).and_then(|bytes| self.checked_size(bytes)).map_err(|error| self.fail_by(error))
    }

    /// A value that is encoded already, as it is recorded.
    pub(crate) fn fitting(&self, value: Vec<u8>) -> Result<Payload> {
        self.checked_size(value).map_err(|error| self.fail_by(error))
    }

    fn checked_size(&self, value: Vec<u8>) -> Result<Payload> {
        let limit = self.run.config().max_value_size;
        if value.len() > limit {
            let error = pynenc_core::Error::new(ErrorKind::TooLarge, "the value is too large for a journal")
                .with("operation", self.shown())
                .with("bytes", value.len())
                .with("limit", format!("workflow.max_value_size = {limit}"))
                .with("advice", "keep it elsewhere, and give the name under which it is found");
            return Err(Error::TooLarge(error));
        }
        Ok(Payload::Inline(value.into()))
    }

    /// The value of an entry, or the failure that is recorded in its place.
    pub(crate) fn value<T: DeserializeOwned>(&self, recorded: &Recorded) -> Result<T> {
        let Payload::Inline(bytes) = &recorded.entry.value else {
            return Err(pynenc_core::Error::corrupt("a journal holds a reference").into());
        };
        let serializer = self.run.serializer()?;
        if kind::has_failed(&recorded.entry) {
            return Err(Error::TaskFailed(serializer.decode_as(bytes)?));
        }
        Ok(serializer.decode_as(bytes).map_err(|error| error.with("operation", self.shown()))?)
    }
}

/// An error as plain data.
pub(crate) fn told(error: &Error, attempt: u32) -> TaskError {
    TaskError { kind: error.variant_name(), message: error.to_string(), source_chain: Vec::new(), attempt }
}

/// What is known of the end of an operation that has begun.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It is recorded.
    Recorded(Recorded),
    /// What is recorded behind it says so.
    Implied,
    /// It hasn't ended.
    Open,
}

/// That an operation waits for something.
struct Waiting<'a>(&'a Operation);

impl<'a> Waiting<'a> {
    fn begin(operation: &'a Operation, wait: Wait) -> Self {
        operation.run.replay().set_wait(operation.number, Some(wait));
        operation.run.tell();
        Self(operation)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.run.replay().set_wait(self.0.number, None);
        self.0.run.tell();
    }
}
