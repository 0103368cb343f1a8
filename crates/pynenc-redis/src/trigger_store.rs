//! What triggers remember.

use std::time::Duration;

use async_trait::async_trait;
use pynenc_core::lane::StoreId;
use pynenc_core::trigger_store::{Event, NewEvent, Occurrence, TriggerDefinition, TriggerId, TriggerRun};
use pynenc_core::{Result, Timestamp, TriggerStore};
use redis::Value;

use crate::client::{BATCH, RedisStore, bytes, is_one, list, number, optional};
use crate::codec::{Pack, Parse, check_names, decoded, encoded, millis, owned_bytes, text};
use crate::error::misshapen;
use crate::keys::{Family, Key};
use crate::orchestrator::decimal;
use crate::script::Verb;

/// A trigger store on Redis.
#[derive(Debug, Clone)]
pub struct RedisTriggerStore {
    store: RedisStore,
}

impl RedisTriggerStore {
    /// A trigger store on this server.
    pub fn new(store: RedisStore) -> Self {
        Self { store }
    }

    async fn list(&self, verb: Verb, arguments: &[Vec<u8>]) -> Result<Vec<Value>> {
        list(self.store.run(verb, arguments).await?)
    }
}

#[async_trait]
impl TriggerStore for RedisTriggerStore {
    async fn define(&self, definitions: &[TriggerDefinition], length: Option<Duration>) -> Result<()> {
        let length = length.map_or_else(|| b"-1".to_vec(), |length| decimal(millis(length)));
        for chunk in definitions.chunks(BATCH) {
            let mut arguments = vec![length.clone()];
            for definition in chunk {
                let value = Pack::new().u8(definition.paused.into()).bytes(&definition.spec).done();
                arguments.extend([definition.id.as_bytes().to_vec(), value]);
            }
            self.store.run(Verb::Define, &arguments).await?;
        }
        Ok(())
    }

    async fn undefine(&self, ids: &[TriggerId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut drop_them = redis::cmd("HDEL");
        drop_them.arg(self.store.one(Key::Definitions));
        for id in ids {
            drop_them.arg(id.as_bytes());
        }
        self.store.send(&drop_them).await.map(drop)
    }

    async fn definitions(&self) -> Result<Vec<TriggerDefinition>> {
        let values = self.list(Verb::Definitions, &[]).await?;
        let mut definitions = pairs(values).map(definition).collect::<Result<Vec<_>>>()?;
        definitions.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(definitions)
    }

    async fn append_events(&self, events: &[NewEvent]) -> Result<Vec<u64>> {
        check_names(events.iter().map(|event| &*event.name))?;
        let mut places = Vec::with_capacity(events.len());
        for chunk in events.chunks(BATCH) {
            let items = chunk.iter().flat_map(|event| [event.name.as_bytes().to_vec(), event_value(event)]);
            let values = self.list(Verb::AppendEvents, &items.collect::<Vec<_>>()).await?;
            for place in values {
                places.push(number(&place)?);
            }
        }
        Ok(places)
    }

    async fn events(&self, name: &str, after: u64, limit: usize) -> Result<Vec<Event>> {
        let arguments = [name.as_bytes().to_vec(), decimal(after), decimal(limit.min(BATCH) as u64)];
        pairs(self.list(Verb::ReadEvents, &arguments).await?).map(event).collect()
    }

    async fn put_occurrences(&self, occurrences: &[Occurrence]) -> Result<()> {
        check_names(occurrences.iter().flat_map(|occurrence| [&*occurrence.id, &*occurrence.trigger]))?;
        for chunk in occurrences.chunks(BATCH) {
            let items: Vec<_> = chunk.iter().flat_map(occurrence_items).collect();
            self.store.run(Verb::PutOccurrences, &items).await?;
        }
        Ok(())
    }

    async fn occurrences(&self, trigger: &str, limit: usize) -> Result<Vec<Occurrence>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let arguments = [trigger.as_bytes().to_vec(), decimal(limit.min(BATCH) as u64)];
        pairs(self.list(Verb::Occurrences, &arguments).await?).map(occurrence).collect()
    }

    async fn fire(&self, run: &TriggerRun) -> Result<bool> {
        check_names([&*run.id])?;
        let mut arguments = vec![run.id.as_bytes().to_vec(), encoded(run)?];
        arguments.extend(run.consumes.iter().map(|id| id.as_bytes().to_vec()));
        Ok(is_one(&self.store.run(Verb::Fire, &arguments).await?))
    }

    async fn unsubmitted(&self, age: Duration, limit: usize) -> Result<Vec<TriggerRun>> {
        let arguments = [decimal(millis(age)), decimal(limit.min(BATCH) as u64)];
        let runs = self.list(Verb::Unsubmitted, &arguments).await?;
        runs.into_iter().map(|run| decoded(&bytes(run)?)).collect()
    }

    async fn submitted(&self, runs: &[Box<str>]) -> Result<()> {
        for chunk in runs.chunks(BATCH) {
            let ids: Vec<_> = chunk.iter().map(|id| id.as_bytes().to_vec()).collect();
            self.store.run(Verb::Submitted, &ids).await?;
        }
        Ok(())
    }

    async fn watermark(&self, schedule: &str) -> Result<Option<Timestamp>> {
        let mut read = redis::cmd("HGET");
        read.arg(self.store.one(Key::Watermarks)).arg(schedule);
        let Some(mark) = optional(self.store.send(&read).await?)? else { return Ok(None) };
        let mark = text(&mark)?.parse().map_err(|_| misshapen("a watermark"))?;
        Ok(Some(Timestamp::from_millis(mark)))
    }

    async fn move_watermark(&self, schedule: &str, from: Option<Timestamp>, to: Timestamp) -> Result<bool> {
        let from = from.map_or_else(Vec::new, |from| decimal(from.as_millis()));
        let arguments = [schedule.as_bytes().to_vec(), from, decimal(to.as_millis())];
        Ok(is_one(&self.store.run(Verb::MoveWatermark, &arguments).await?))
    }

    async fn expire(&self, age: Duration, limit: usize) -> Result<usize> {
        let arguments = [decimal(millis(age)), decimal(limit.min(BATCH) as u64)];
        Ok(number(&self.store.run(Verb::Expire, &arguments).await?)? as usize)
    }

    async fn purge(&self) -> Result<()> {
        self.store.purge(Family::Triggers).await
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(self.store.id())
    }
}

/// Names or places, each with what is kept there; one whose value is gone is left out.
fn pairs(values: Vec<Value>) -> impl Iterator<Item = (Value, Vec<u8>)> {
    let mut values = values.into_iter();
    let pairs = std::iter::from_fn(move || values.next().zip(values.next()));
    pairs.filter_map(|(name, kept)| Some((name, bytes(kept).ok()?)))
}

fn definition((id, kept): (Value, Vec<u8>)) -> Result<TriggerDefinition> {
    let mut parse = Parse::new(&kept);
    let paused = parse.u8()? == 1;
    Ok(TriggerDefinition { id: text(&bytes(id)?)?.into(), paused, spec: owned_bytes(parse.rest()) })
}

/// What the script doesn't put before it: the key and the payload.
fn event_value(event: &NewEvent) -> Vec<u8> {
    let pack = match &event.key {
        Some(key) => Pack::new().u8(1).u32(key.len() as u64).bytes(key.as_bytes()),
        None => Pack::new().u8(0),
    };
    pack.bytes(&event.payload).done()
}

fn event((sequence, kept): (Value, Vec<u8>)) -> Result<Event> {
    let mut parse = Parse::new(&kept);
    let (at, name) = (parse.time()?, parse.sized_text()?.into());
    let key = match parse.u8()? {
        1 => {
            let length = parse.u32()? as usize;
            Some(text(parse.bytes(length)?)?.into())
        }
        _ => None,
    };
    Ok(Event { sequence: number(&sequence)?, name, key, payload: owned_bytes(parse.rest()), at })
}

fn occurrence_items(occurrence: &Occurrence) -> [Vec<u8>; 4] {
    let Occurrence { id, trigger, condition, context, at } = occurrence;
    let rest = Pack::new().u32((*condition).into()).bytes(context).done();
    [id.as_bytes().to_vec(), trigger.as_bytes().to_vec(), decimal(at.as_millis()), rest]
}

fn occurrence((id, kept): (Value, Vec<u8>)) -> Result<Occurrence> {
    let mut parse = Parse::new(&kept);
    let (at, trigger) = (parse.time()?, parse.sized_text()?.into());
    parse.sized()?;
    let condition = parse.u32()?;
    Ok(Occurrence { id: text(&bytes(id)?)?.into(), trigger, condition, context: owned_bytes(parse.rest()), at })
}
