//! The state backend on Redis: records, outcomes, journals and workflow data.

use std::sync::Arc;

use async_trait::async_trait;
use pynenc_core::component::StoreId;
use pynenc_core::packed::{pack, unpack};
use pynenc_core::page::{Cursor, Page};
use pynenc_core::record::{InvocationRecord, Outcome, Payload};
use pynenc_core::state_backend::{
    Appended, Journal, JournalEntry, JournalOpening, JournalRecord, Listing, OutcomeWrite,
};
use pynenc_core::{Component, Error, ErrorKind, InvocationId, Result, StateBackend, Timestamp};
use redis::Value;

use crate::arguments::{self, BATCH, decimal};
use crate::client::Client;
use crate::codec::{Pack, Parse};
use crate::entry::{self, Entry};
use crate::error::unexpected_reply;
use crate::invocation_record::{parse_lane_record, parse_record, stored_record};
use crate::keys::{Family, Key};
use crate::log::{outcome_item, outcome_of};
use crate::script;
use crate::store::RedisStore;
use crate::value::{bytes, list, number, optional};

/// A state backend on Redis.
#[derive(Debug, Clone)]
pub struct RedisStateBackend {
    store: RedisStore,
}

impl RedisStateBackend {
    /// A state backend in this store.
    pub fn new(store: RedisStore) -> Self {
        Self { store }
    }

    fn client(&self) -> &Client {
        self.store.client()
    }

    /// The keys under which a part of an invocation may be: in the entry if the lane stored it, else under its own.
    fn keys(&self, id: InvocationId, own: Key) -> [Vec<u8>; 2] {
        [Key::Entry, own].map(|key| self.client().key_of(key, id.as_bytes()))
    }
}

/// Finds the record of a call in its entry, or in the value that is stored alone.
fn record_in(id: InvocationId, stored: &[Option<Vec<u8>>]) -> Result<Option<Arc<InvocationRecord>>> {
    let [entry, alone] = stored else { return Ok(None) };
    if let Some(Entry { tracked, record: Some(record), has_parent, .. }) =
        entry.as_ref().map(|raw| entry::entry(id, raw)).transpose()?
    {
        return parse_lane_record(&tracked, record, has_parent).map(Some);
    }
    alone.as_ref().map(|stored| parse_record(id, stored)).transpose()
}

/// Finds the outcome of an epoch in the log of the entry, or among the outcomes that are stored alone.
fn outcome_in(id: InvocationId, epoch: u64, stored: &[Option<Vec<u8>>]) -> Result<Option<Outcome>> {
    let [entry, alone] = stored else { return Ok(None) };
    if let Some(raw) = entry
        && let Some(outcome) = outcome_of(epoch, entry::entry(id, raw)?.log)?
    {
        return Ok(Some(outcome));
    }
    alone.as_ref().map_or(Ok(None), |stored| outcome_of(epoch, stored))
}

fn stored_outcome(write: &OutcomeWrite) -> [Vec<u8>; 2] {
    [write.id.as_bytes().to_vec(), outcome_item(write.epoch, &write.outcome)]
}

#[async_trait]
impl Component for RedisStateBackend {
    async fn purge(&self) -> Result<()> {
        self.client().purge(Family::State).await
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(self.client().store_id())
    }
}

#[async_trait]
impl StateBackend for RedisStateBackend {
    async fn put_invocations(&self, records: &[Arc<InvocationRecord>]) -> Result<()> {
        for chunk in records.chunks(BATCH) {
            let mut items = Vec::with_capacity(2 * chunk.len());
            for record in chunk {
                items.extend([record.id.as_bytes().to_vec(), stored_record(record)]);
            }
            self.client().run(&script::PUT_INVOCATIONS, &items).await?;
        }
        Ok(())
    }

    async fn invocations(&self, ids: &[InvocationId]) -> Result<Vec<Option<Arc<InvocationRecord>>>> {
        let read = || async {
            let keys = ids.iter().flat_map(|id| self.keys(*id, Key::Record)).collect();
            let values = self.client().values(keys).await?;
            ids.iter().zip(values.chunks_exact(2)).map(|(id, stored)| record_in(*id, stored)).collect()
        };
        self.client().retry_if_garbled(read).await
    }

    async fn put_outcomes(&self, outcomes: &[OutcomeWrite]) -> Result<()> {
        for chunk in outcomes.chunks(BATCH) {
            let items: Vec<_> = chunk.iter().flat_map(stored_outcome).collect();
            self.client().run(&script::PUT_OUTCOMES, &items).await?;
        }
        Ok(())
    }

    async fn outcome(&self, id: InvocationId, epoch: u64) -> Result<Option<Outcome>> {
        let pushed = self.store.pubsub().take_outcomes(id).map(|stored| outcome_of(epoch, &stored));
        if let Some(Ok(Some(pushed))) = pushed {
            return Ok(Some(pushed));
        }
        let read = || async {
            let values = self.client().values(self.keys(id, Key::Outcomes).into()).await?;
            outcome_in(id, epoch, &values)
        };
        self.client().retry_if_garbled(read).await
    }

    async fn list(&self, listing: &Listing, after: Option<Cursor>, limit: usize) -> Result<Page<InvocationId>> {
        let header = Pack::new().cursor(after).u32(limit as u64);
        let arguments = match listing {
            Listing::WorkflowRuns => vec![header.done(), b"runs".to_vec()],
            Listing::PutBefore(age) => vec![header.millis(*age).done(), b"put_before".to_vec()],
            Listing::Children(parent) => {
                vec![header.done(), b"children".to_vec(), parent.as_bytes().to_vec()]
            }
        };
        let read = || async { page(self.client().run(&script::LIST, &arguments).await?, limit) };
        self.client().retry_if_garbled(read).await
    }

    async fn open_journal(&self, opening: &JournalOpening) -> Result<Journal> {
        let JournalOpening { id, epoch, attempt, workflow, takes_over } = *opening;
        let [workflow, takes_over] =
            [workflow, takes_over].map(|id| id.map(|id| id.as_bytes().to_vec()).unwrap_or_default());
        let arguments = [id.as_bytes().to_vec(), decimal(epoch), decimal(attempt.into()), workflow, takes_over];
        let open = || async {
            match self.client().run(&script::OPEN_JOURNAL, &arguments).await? {
                Value::Array(values) => journal(values),
                fence => Err(fenced(id, epoch, number(&fence)?)),
            }
        };
        self.client().retry_if_garbled(open).await
    }

    async fn journal(&self, id: InvocationId) -> Result<Option<Journal>> {
        let read = || async {
            match self.client().run(&script::JOURNAL, &[id.as_bytes().to_vec()]).await? {
                Value::Array(values) => journal(values).map(Some),
                _ => Ok(None),
            }
        };
        self.client().retry_if_garbled(read).await
    }

    async fn append_journal(&self, id: InvocationId, epoch: u64, entries: &[JournalEntry]) -> Result<Vec<Appended>> {
        let mut arguments = vec![id.as_bytes().to_vec(), decimal(epoch)];
        for entry in entries {
            arguments.extend([entry.position.as_bytes().to_vec(), pack(entry)]);
        }
        let append = || async {
            match self.client().run(&script::APPEND_JOURNAL, &arguments).await? {
                Value::Array(values) => values.into_iter().map(appended).collect(),
                fence => Err(fenced(id, epoch, number(&fence)?)),
            }
        };
        self.client().retry_if_garbled(append).await
    }

    async fn put_workflow_data(&self, workflow: InvocationId, key: &str, value: Payload) -> Result<()> {
        let mut put = redis::cmd("HSET");
        put.arg(self.client().key_of(Key::Data, workflow.as_bytes())).arg(key).arg(pack(&value));
        self.client().send(&put).await.map(drop)
    }

    async fn workflow_data(&self, workflow: InvocationId, key: &str) -> Result<Option<Payload>> {
        let read = || async {
            let data = self.client().key_of(Key::Data, workflow.as_bytes());
            let value = optional(self.client().send(redis::cmd("HGET").arg(data).arg(key)).await?)?;
            value.map(|value| unpack(&value)).transpose()
        };
        self.client().retry_if_garbled(read).await
    }

    async fn forget(&self, ids: &[InvocationId]) -> Result<()> {
        for chunk in ids.chunks(BATCH) {
            self.client().run(&script::FORGET_RECORDS, &arguments::ids(chunk)).await?;
        }
        Ok(())
    }
}

/// Reads the positions of a page. One position more than requested means that there is another page.
fn page(values: Value, limit: usize) -> Result<Page<InvocationId>> {
    let cursors = list(values)?.into_iter().map(|cursor| Parse::new(&bytes(cursor)?).cursor());
    let mut cursors = cursors.collect::<Result<Vec<_>>>()?;
    let is_more = cursors.len() > limit;
    cursors.truncate(limit);
    let next = cursors.last().copied().filter(|_| is_more);
    Ok(Page { items: cursors.into_iter().map(|cursor| cursor.id).collect(), next })
}

fn journal(values: Vec<Value>) -> Result<Journal> {
    let mut values = values.into_iter();
    let mut head = || values.next().ok_or_else(|| unexpected_reply("a journal"));
    let (now, origin, tries) = (number(&head()?)?, bytes(head()?)?, number(&head()?)?);
    let origin = Parse::new(&origin).id()?;
    let entries = values.map(|entry| record(&bytes(entry)?)).collect::<Result<_>>()?;
    let tries = u32::try_from(tries).unwrap_or(u32::MAX);
    Ok(Journal { origin, tries, entries, now: Timestamp::from_millis(now) })
}

fn record(stored: &[u8]) -> Result<JournalRecord> {
    let mut parse = Parse::new(stored);
    let at = parse.time()?;
    Ok(JournalRecord { entry: unpack(parse.rest())?, at })
}

/// The time of a new entry, or the entry that was there before.
fn appended(reply: Value) -> Result<Appended> {
    match reply {
        Value::Int(at) => Ok(Appended::New(Timestamp::from_millis(u64::try_from(at).unwrap_or_default()))),
        existing => Ok(Appended::Existing(record(&bytes(existing)?)?)),
    }
}

fn fenced(id: InvocationId, epoch: u64, fence: u64) -> Error {
    let error = Error::new(ErrorKind::Fenced, "a newer owner has this journal");
    error.with("invocation", id).with("epoch", epoch).with("fence", fence)
}
