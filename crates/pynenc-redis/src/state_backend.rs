//! What was called, and what came of it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pynenc_core::lane::StoreId;
use pynenc_core::orchestrator::{Cursor, Page};
use pynenc_core::record::{Argument, InvocationRecord, Outcome, Payload, Priority, TraceContext, WorkflowIdentity};
use pynenc_core::state_backend::{Appended, Journal, JournalEntry, JournalOpening, OutcomeWrite, Recorded};
use pynenc_core::{Error, ErrorKind, InvocationId, QueueName, Result, StateBackend, TaskId, Timestamp};
use redis::Value;
use serde::{Deserialize, Serialize};

use crate::client::{BATCH, RedisStore, bytes, list, number, optional};
use crate::codec::{Pack, Parse, decoded, encoded};
use crate::error::misshapen;
use crate::keys::{Family, Key};
use crate::orchestrator::{decimal, id_items};
use crate::script::Verb;

/// A state backend on Redis.
#[derive(Debug, Clone)]
pub struct RedisStateBackend {
    store: RedisStore,
}

impl RedisStateBackend {
    /// A state backend on this server.
    pub fn new(store: RedisStore) -> Self {
        Self { store }
    }
}

#[async_trait]
impl StateBackend for RedisStateBackend {
    async fn put_invocations(&self, records: &[Arc<InvocationRecord>]) -> Result<()> {
        for chunk in records.chunks(BATCH) {
            let mut items = Vec::with_capacity(2 * chunk.len());
            for record in chunk {
                items.extend([record.id.as_bytes().to_vec(), record_value(record)?]);
            }
            self.store.run(Verb::PutInvocations, &items).await?;
        }
        Ok(())
    }

    async fn invocations(&self, ids: &[InvocationId]) -> Result<Vec<Option<Arc<InvocationRecord>>>> {
        let read = || async {
            let keys = ids.iter().map(|id| self.store.of(Key::Record, id.as_bytes())).collect();
            let values = ids.iter().zip(self.store.values(keys).await?);
            values.map(|(id, value)| value.map(|value| record_of(*id, &value).map(Arc::new)).transpose()).collect()
        };
        self.store.intact(read).await
    }

    async fn children(&self, parent: InvocationId) -> Result<Vec<InvocationId>> {
        let mut range = redis::cmd("ZRANGE");
        range.arg(self.store.of(Key::Children, parent.as_bytes())).arg(0).arg(-1);
        let read = || async {
            let ids = list(self.store.send(&range).await?)?;
            ids.into_iter().map(|id| Parse::new(&bytes(id)?).id()).collect()
        };
        self.store.intact(read).await
    }

    async fn put_outcomes(&self, outcomes: &[OutcomeWrite]) -> Result<()> {
        for chunk in outcomes.chunks(BATCH) {
            let items = chunk.iter().map(outcome_item).collect::<Result<Vec<_>>>()?;
            self.store.run(Verb::PutOutcomes, &items).await?;
        }
        Ok(())
    }

    async fn outcome(&self, id: InvocationId, epoch: u64) -> Result<Option<Outcome>> {
        let pushed = self.store.hub().outcomes(id).map(|kept| outcome_of(epoch, &kept));
        if let Some(Ok(Some(pushed))) = pushed {
            return Ok(Some(pushed));
        }
        let read = || async {
            let key = self.store.of(Key::Outcomes, id.as_bytes());
            let kept = optional(self.store.send(redis::cmd("GET").arg(key)).await?)?;
            kept.map_or(Ok(None), |kept| outcome_of(epoch, &kept))
        };
        self.store.intact(read).await
    }

    async fn open_journal(&self, opening: &JournalOpening) -> Result<Journal> {
        let JournalOpening { id, epoch, attempt, workflow, takes_over } = *opening;
        let [workflow, other] =
            [workflow, takes_over].map(|id| id.map(|id| id.as_bytes().to_vec()).unwrap_or_default());
        let arguments = [id.as_bytes().to_vec(), decimal(epoch), decimal(attempt.into()), workflow, other];
        let open = || async {
            match self.store.run(Verb::OpenJournal, &arguments).await? {
                Value::Array(values) => journal(values),
                fence => Err(fenced(id, epoch, number(&fence)?)),
            }
        };
        self.store.intact(open).await
    }

    async fn journal(&self, id: InvocationId) -> Result<Option<Journal>> {
        let read = || async {
            match self.store.run(Verb::ReadJournal, &[id.as_bytes().to_vec()]).await? {
                Value::Array(values) => journal(values).map(Some),
                _ => Ok(None),
            }
        };
        self.store.intact(read).await
    }

    async fn append_journal(&self, id: InvocationId, epoch: u64, entries: &[JournalEntry]) -> Result<Vec<Appended>> {
        let mut arguments = vec![id.as_bytes().to_vec(), decimal(epoch)];
        for entry in entries {
            arguments.extend([entry.position.as_bytes().to_vec(), encoded(entry)?]);
        }
        let append = || async {
            match self.store.run(Verb::AppendJournal, &arguments).await? {
                Value::Array(values) => values.into_iter().map(appended).collect(),
                fence => Err(fenced(id, epoch, number(&fence)?)),
            }
        };
        self.store.intact(append).await
    }

    async fn workflow_runs(&self, after: Option<Cursor>, limit: usize) -> Result<Page<InvocationId>> {
        let head = Pack::new().place(after).u32(limit as u64).done();
        let read = || async { page(self.store.run(Verb::WorkflowRuns, std::slice::from_ref(&head)).await?, limit) };
        self.store.intact(read).await
    }

    async fn put_workflow_data(&self, workflow: InvocationId, key: &str, value: Payload) -> Result<()> {
        let mut put = redis::cmd("HSET");
        put.arg(self.store.of(Key::Data, workflow.as_bytes())).arg(key).arg(encoded(&value)?);
        self.store.send(&put).await.map(drop)
    }

    async fn workflow_data(&self, workflow: InvocationId, key: &str) -> Result<Option<Payload>> {
        let read = || async {
            let data = self.store.of(Key::Data, workflow.as_bytes());
            let value = optional(self.store.send(redis::cmd("HGET").arg(data).arg(key)).await?)?;
            value.map(|value| decoded(&value)).transpose()
        };
        self.store.intact(read).await
    }

    async fn aged(&self, age: Duration, after: Option<Cursor>, limit: usize) -> Result<Page<InvocationId>> {
        let head = Pack::new().millis(age).place(after).u32(limit as u64).done();
        let read = || async { page(self.store.run(Verb::Aged, std::slice::from_ref(&head)).await?, limit) };
        self.store.intact(read).await
    }

    async fn forget(&self, ids: &[InvocationId]) -> Result<()> {
        for chunk in ids.chunks(BATCH) {
            self.store.run(Verb::ForgetFacts, &id_items(chunk)).await?;
        }
        Ok(())
    }

    async fn purge(&self) -> Result<()> {
        self.store.purge(Family::State).await
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(self.store.id())
    }
}

/// The places that a script has listed; one more than was asked for says that there is more.
fn page(values: Value, limit: usize) -> Result<Page<InvocationId>> {
    let places = list(values)?.into_iter().map(|place| Parse::new(&bytes(place)?).place());
    let mut places = places.collect::<Result<Vec<_>>>()?;
    let is_more = places.len() > limit;
    places.truncate(limit);
    let next = places.last().copied().filter(|_| is_more);
    Ok(Page { items: places.into_iter().map(|place| place.id).collect(), next })
}

fn journal(values: Vec<Value>) -> Result<Journal> {
    let mut values = values.into_iter();
    let mut head = || values.next().ok_or_else(|| misshapen("a journal"));
    let (now, origin, tries) = (number(&head()?)?, bytes(head()?)?, number(&head()?)?);
    let origin = Parse::new(&origin).id()?;
    let entries = values.map(|entry| recorded(&bytes(entry)?)).collect::<Result<_>>()?;
    let tries = u32::try_from(tries).unwrap_or(u32::MAX);
    Ok(Journal { origin, tries, entries, now: Timestamp::from_millis(now) })
}

fn recorded(kept: &[u8]) -> Result<Recorded> {
    let mut parse = Parse::new(kept);
    let at = parse.time()?;
    Ok(Recorded { entry: decoded(parse.rest())?, at })
}

/// The time of what is new, or what was there before.
fn appended(answer: Value) -> Result<Appended> {
    match answer {
        Value::Int(at) => Ok(Appended::New(Timestamp::from_millis(u64::try_from(at).unwrap_or_default()))),
        existing => Ok(Appended::Existing(recorded(&bytes(existing)?)?)),
    }
}

fn fenced(id: InvocationId, epoch: u64, fence: u64) -> Error {
    let error = Error::new(ErrorKind::Fenced, "a newer owner has this journal");
    error.with("invocation", id).with("epoch", epoch).with("fence", fence)
}

/// An outcome as the script that settles takes it.
pub(crate) fn outcome_item(write: &OutcomeWrite) -> Result<Vec<u8>> {
    let outcome = encoded(&write.outcome)?;
    let entry = Pack::new().bytes(write.id.as_bytes()).u48(write.epoch).u32(outcome.len() as u64);
    Ok(entry.bytes(&outcome).done())
}

/// The outcome of an epoch, out of all that are kept of an invocation.
fn outcome_of(epoch: u64, kept: &[u8]) -> Result<Option<Outcome>> {
    let mut parse = Parse::new(kept);
    while !parse.rest().is_empty() {
        let (of, length) = (parse.u48()?, parse.u32()?);
        let value = parse.bytes(length as usize)?;
        if of == epoch {
            return decoded(value).map(Some);
        }
    }
    Ok(None)
}

/// A record as it is kept: its parent where scripts find it, then everything but the id, which its key has.
pub(crate) fn record_value(record: &InvocationRecord) -> Result<Vec<u8>> {
    let start = match record.parent {
        Some(parent) => Pack::new().u8(1).bytes(parent.as_bytes()),
        None => Pack::new().u8(0),
    };
    Ok(start.bytes(&encoded(&Kept::from(record))?).done())
}

pub(crate) fn record_of(id: InvocationId, value: &[u8]) -> Result<InvocationRecord> {
    let mut parse = Parse::new(value);
    let parent = if parse.u8()? == 1 { Some(parse.id()?) } else { None };
    let kept: Kept = decoded(parse.rest()).map_err(|error| error.with("invocation", id))?;
    Ok(kept.into_record(id, parent))
}

/// A record in few bytes: short names, and nothing where there is nothing.
#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(rename = "t")]
    task: TaskId,
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    arguments: Vec<(Cow<'static, str>, Payload)>,
    #[serde(rename = "s")]
    serializer: Cow<'static, str>,
    #[serde(rename = "q")]
    queue: QueueName,
    #[serde(rename = "p")]
    priority: Priority,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    timeout: Option<Duration>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    max_retries: Option<u32>,
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    workflow: Option<WorkflowIdentity>,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    retry_of: Option<InvocationId>,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    trace: Option<TraceContext>,
    #[serde(rename = "c")]
    created_at: Timestamp,
}

impl From<&InvocationRecord> for Kept {
    fn from(record: &InvocationRecord) -> Self {
        let arguments = record.arguments.iter().map(|it| (it.name.clone(), it.value.clone())).collect();
        Self {
            task: record.task.clone(),
            arguments,
            serializer: record.serializer.clone(),
            queue: record.queue.clone(),
            priority: record.priority,
            timeout: record.timeout,
            max_retries: record.max_retries,
            workflow: record.workflow,
            retry_of: record.retry_of,
            trace: record.trace.clone(),
            created_at: record.created_at,
        }
    }
}

impl Kept {
    fn into_record(self, id: InvocationId, parent: Option<InvocationId>) -> InvocationRecord {
        let arguments = self.arguments.into_iter().map(|(name, value)| Argument { name, value }).collect();
        InvocationRecord {
            id,
            parent,
            arguments,
            task: self.task,
            serializer: self.serializer,
            queue: self.queue,
            priority: self.priority,
            timeout: self.timeout,
            max_retries: self.max_retries,
            workflow: self.workflow,
            retry_of: self.retry_of,
            trace: self.trace,
            created_at: self.created_at,
        }
    }
}
