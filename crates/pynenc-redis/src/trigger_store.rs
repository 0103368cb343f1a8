//! What triggers remember.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use pynenc_core::lane::StoreId;
use pynenc_core::trigger_store::{
    Defined, Delivered, Delivery, Event, EventListener, EventWait, FiredRun, Lookup, NewEvent, News, Occurrence,
    Offered, RunOutcome, Slot, TriggerDefinition, TriggerId, TriggerRun, Watermarks,
};
use pynenc_core::{InvocationId, Result, Timestamp, TriggerStore};
use redis::Value;

use crate::client::{BATCH, RedisStore, bytes, is_one, list, number};
use crate::codec::{Pack, Parse, check_names, decoded, encoded, millis, owned_bytes, text};
use crate::error::misshapen;
use crate::keys::Family;
use crate::orchestrator::{decimal, id_items};
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
        check_names(definitions.iter().map(|definition| &*definition.id))?;
        let length = length.map_or_else(|| b"-1".to_vec(), |length| decimal(millis(length)));
        for chunk in definitions.chunks(BATCH) {
            let mut arguments = vec![length.clone()];
            arguments.extend(chunk.iter().flat_map(|of| [of.id.as_bytes().to_vec(), of.spec.to_vec()]));
            self.store.run(Verb::Define, &arguments).await?;
        }
        Ok(())
    }

    async fn undefine(&self, ids: &[TriggerId]) -> Result<()> {
        for chunk in ids.chunks(BATCH) {
            self.store.run(Verb::Undefine, &names(chunk)).await?;
        }
        Ok(())
    }

    async fn definitions(&self) -> Result<Vec<Defined>> {
        let values = self.list(Verb::Definitions, &[]).await?;
        let mut defined = pairs(values).map(defined).collect::<Result<Vec<_>>>()?;
        defined.sort_by(|a, b| a.definition.id.cmp(&b.definition.id));
        Ok(defined)
    }

    async fn pause(&self, trigger: &str, paused: bool) -> Result<()> {
        let arguments = [trigger.as_bytes().to_vec(), decimal(paused.into())];
        self.store.run(Verb::Pause, &arguments).await.map(drop)
    }

    async fn append_events(&self, events: &[NewEvent]) -> Result<Vec<u64>> {
        check_names(events.iter().flat_map(|event| [&*event.name, &*event.serializer]))?;
        let mut places = Vec::with_capacity(events.len());
        for chunk in events.chunks(BATCH) {
            let items = chunk
                .iter()
                .flat_map(|event| [event.name.as_bytes().to_vec(), marked(event.key.as_deref()), event_value(event)]);
            let values = self.list(Verb::AppendEvents, &items.collect::<Vec<_>>()).await?;
            for place in values {
                places.push(number(&place)?);
            }
        }
        Ok(places)
    }

    async fn events(&self, name: &str, after: u64, limit: usize) -> Result<Vec<Event>> {
        let arguments = [name.as_bytes().to_vec(), decimal(after), decimal(limit.min(BATCH) as u64)];
        let values = self.list(Verb::ReadEvents, &arguments).await?;
        pairs(values).map(|(sequence, kept)| event(&sequence, &kept)).collect()
    }

    async fn take_events(
        &self,
        listeners: &[EventListener],
        limit: usize,
        again_after: Duration,
    ) -> Result<Vec<Offered>> {
        let mut arguments = vec![decimal(limit.min(BATCH) as u64), decimal(millis(again_after))];
        arguments.extend(listeners.iter().flat_map(|of| [of.id.as_bytes().to_vec(), of.name.as_bytes().to_vec()]));
        let values = self.list(Verb::TakeEvents, &arguments).await?;
        values.chunks_exact(3).map(|offer| offered(listeners, offer)).collect()
    }

    async fn events_done(&self, listener: &str, sequences: &[u64]) -> Result<()> {
        for chunk in sequences.chunks(BATCH) {
            let places = chunk.iter().copied().map(decimal);
            let arguments: Vec<_> = std::iter::once(listener.as_bytes().to_vec()).chain(places).collect();
            self.store.run(Verb::EventsDone, &arguments).await?;
        }
        Ok(())
    }

    async fn await_events(&self, waits: &[EventWait]) -> Result<Vec<Option<Event>>> {
        check_names(waits.iter().map(|wait| &*wait.name))?;
        let mut found = Vec::with_capacity(waits.len());
        for chunk in waits.chunks(BATCH) {
            let arguments: Vec<_> = chunk.iter().flat_map(wait_items).collect();
            let values = self.list(Verb::AwaitEvents, &arguments).await?;
            for answer in values.chunks_exact(2) {
                let kept = bytes(answer[1].clone())?;
                found.push(if kept.is_empty() { None } else { Some(event(&answer[0], &kept)?) });
            }
        }
        Ok(found)
    }

    async fn awoken(&self, limit: usize, again_after: Duration) -> Result<Vec<InvocationId>> {
        let arguments = [decimal(limit.min(BATCH) as u64), decimal(millis(again_after))];
        let values = self.list(Verb::Awoken, &arguments).await?;
        values.into_iter().map(|id| Parse::new(&bytes(id)?).id()).collect()
    }

    async fn end_waits(&self, waiters: &[InvocationId]) -> Result<()> {
        for chunk in waiters.chunks(BATCH) {
            self.store.run(Verb::EndWaits, &id_items(chunk)).await?;
        }
        Ok(())
    }

    async fn put_occurrences(&self, occurrences: &[Occurrence]) -> Result<()> {
        check_names(occurrences.iter().flat_map(|occurrence| [&*occurrence.id, &*occurrence.trigger]))?;
        for chunk in occurrences.chunks(BATCH) {
            let items: Vec<_> = chunk.iter().flat_map(occurrence_items).collect();
            self.store.run(Verb::PutOccurrences, &items).await?;
        }
        Ok(())
    }

    async fn occurrences(&self, lookups: &[Lookup], limit: usize) -> Result<Vec<Vec<Occurrence>>> {
        let mut arguments = vec![decimal(limit.min(BATCH) as u64)];
        arguments.extend(lookups.iter().flat_map(lookup_items));
        let answers = self.list(Verb::Occurrences, &arguments).await?;
        let found = lookups
            .iter()
            .zip(answers)
            .map(|(lookup, answer)| pairs(list(answer)?).map(|(id, kept)| occurrence(lookup, id, &kept)).collect());
        found.collect()
    }

    async fn fire(&self, runs: &[TriggerRun]) -> Result<Vec<bool>> {
        let mut fired = Vec::with_capacity(runs.len());
        for chunk in runs.chunks(BATCH) {
            let mut arguments = Vec::new();
            for run in chunk {
                arguments.extend(run_items(run)?);
            }
            fired.extend(self.list(Verb::Fire, &arguments).await?.iter().map(is_one));
        }
        Ok(fired)
    }

    async fn undelivered(&self, age: Duration, limit: usize) -> Result<Vec<TriggerRun>> {
        let arguments = [decimal(millis(age)), decimal(limit.min(BATCH) as u64)];
        let runs = self.list(Verb::Undelivered, &arguments).await?;
        runs.into_iter().map(|run| decoded(&bytes(run)?)).collect()
    }

    async fn delivered(&self, delivered: &[Delivered]) -> Result<()> {
        for chunk in delivered.chunks(BATCH) {
            let items = chunk.iter().flat_map(|one| [&*one.run, one.refused.as_deref().unwrap_or_default()]);
            let items: Vec<_> = items.map(|item| item.as_bytes().to_vec()).collect();
            self.store.run(Verb::Delivered, &items).await?;
        }
        Ok(())
    }

    async fn runs(&self, trigger: &str, limit: usize) -> Result<Vec<FiredRun>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let arguments = [trigger.as_bytes().to_vec(), decimal(limit.min(BATCH) as u64)];
        let values = self.list(Verb::Runs, &arguments).await?;
        values.chunks_exact(3).map(fired_run).collect()
    }

    async fn watermarks(&self, schedules: &[Box<str>]) -> Result<Watermarks> {
        check_names(schedules.iter().map(|schedule| &**schedule))?;
        let values = self.list(Verb::ReadWatermarks, &names(schedules)).await?;
        let times = values.iter().map(|time| Ok(Timestamp::from_millis(number(time)?)));
        let mut times = times.collect::<Result<Vec<_>>>()?.into_iter();
        let now = times.next().ok_or_else(|| misshapen("the present"))?;
        Ok(Watermarks { now, marks: times.collect() })
    }

    async fn move_watermark(&self, slot: &Slot) -> Result<bool> {
        Ok(is_one(&self.store.run(Verb::MoveWatermark, &slot_items(Some(slot))).await?))
    }

    async fn news(&self) -> Result<BoxStream<'static, News>> {
        let hub = self.store.hub();
        hub.open(&self.store).await?;
        Ok(hub.follow())
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

fn names(names: &[Box<str>]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// Names or places, each with what is kept there; one whose value is gone is left out.
fn pairs(values: Vec<Value>) -> impl Iterator<Item = (Value, Vec<u8>)> {
    let mut values = values.into_iter();
    let pairs = std::iter::from_fn(move || values.next().zip(values.next()));
    pairs.filter_map(|(name, kept)| Some((name, bytes(kept).ok()?)))
}

fn defined((id, kept): (Value, Vec<u8>)) -> Result<Defined> {
    let mut parse = Parse::new(&kept);
    let (stays, paused) = (parse.u8()? == 1, parse.u8()? == 1);
    let definition = TriggerDefinition { id: text(&bytes(id)?)?.into(), spec: owned_bytes(parse.rest()) };
    Ok(Defined { definition, paused, stays })
}

/// A key behind a mark, which tells one that is empty from none.
fn marked(key: Option<&str>) -> Vec<u8> {
    key.map(|key| format!("1{key}").into_bytes()).unwrap_or_default()
}

fn wait_items(wait: &EventWait) -> [Vec<u8>; 5] {
    let EventWait { waiter, name, key, since, after } = wait;
    [
        waiter.as_bytes().to_vec(),
        name.as_bytes().to_vec(),
        marked(key.as_deref()),
        decimal(since.as_millis()),
        decimal(*after),
    ]
}

/// What the script doesn't put before it: the key, the serializer and the payload.
fn event_value(event: &NewEvent) -> Vec<u8> {
    let pack = match &event.key {
        Some(key) => Pack::new().u8(1).u32(key.len() as u64).bytes(key.as_bytes()),
        None => Pack::new().u8(0),
    };
    pack.sized(event.serializer.as_bytes()).bytes(&event.payload).done()
}

fn event(sequence: &Value, kept: &[u8]) -> Result<Event> {
    let mut parse = Parse::new(kept);
    let (at, name) = (parse.time()?, parse.sized_text()?.into());
    let key = match parse.u8()? {
        1 => {
            let length = parse.u32()? as usize;
            Some(text(parse.bytes(length)?)?.into())
        }
        _ => None,
    };
    let serializer = parse.sized_text()?.into();
    Ok(Event { sequence: number(sequence)?, name, key, payload: owned_bytes(parse.rest()), serializer, at })
}

fn offered(listeners: &[EventListener], offer: &[Value]) -> Result<Offered> {
    let listener = listeners.get(number(&offer[0])? as usize).ok_or_else(|| misshapen("a listener"))?;
    Ok(Offered { listener: listener.id.clone(), event: event(&offer[1], &bytes(offer[2].clone())?)? })
}

fn occurrence_items(occurrence: &Occurrence) -> [Vec<u8>; 6] {
    let Occurrence { id, trigger, condition, context, at, until } = occurrence;
    [
        id.as_bytes().to_vec(),
        trigger.as_bytes().to_vec(),
        decimal((*condition).into()),
        decimal(at.as_millis()),
        decimal(until.as_millis()),
        context.to_vec(),
    ]
}

fn lookup_items(lookup: &Lookup) -> [Vec<u8>; 3] {
    let Lookup { trigger, condition, since } = lookup;
    [trigger.as_bytes().to_vec(), decimal((*condition).into()), decimal(since.as_millis())]
}

fn occurrence(lookup: &Lookup, id: Value, kept: &[u8]) -> Result<Occurrence> {
    let mut parse = Parse::new(kept);
    let (at, until) = (parse.time()?, parse.time()?);
    parse.sized()?;
    parse.sized()?;
    let Lookup { trigger, condition, .. } = lookup.clone();
    Ok(Occurrence { id: text(&bytes(id)?)?.into(), trigger, condition, context: owned_bytes(parse.rest()), at, until })
}

fn run_items(run: &TriggerRun) -> Result<Vec<Vec<u8>>> {
    check_names([&*run.id, &*run.trigger])?;
    let has_call = matches!(run.outcome, RunOutcome::Call { .. });
    let mut items = vec![run.id.as_bytes().to_vec(), run.trigger.as_bytes().to_vec(), encoded(run)?];
    items.push(decimal(has_call.into()));
    items.extend(slot_items(run.slot.as_ref()));
    items.push(decimal(run.consumes.len() as u64));
    items.extend(names(&run.consumes));
    Ok(items)
}

fn slot_items(slot: Option<&Slot>) -> [Vec<u8>; 3] {
    slot.map_or_else(Default::default, |Slot { schedule, from, to }| {
        [schedule.as_bytes().to_vec(), decimal(from.as_millis()), decimal(to.as_millis())]
    })
}

fn fired_run(values: &[Value]) -> Result<FiredRun> {
    let delivery = bytes(values[1].clone())?;
    let delivery = match delivery.split_first() {
        None => Delivery::Open,
        Some((_, [])) => Delivery::Submitted,
        Some((_, refused)) => Delivery::Refused(text(refused)?.into()),
    };
    let at = Timestamp::from_millis(number(&values[0])?);
    Ok(FiredRun { run: decoded(&bytes(values[2].clone())?)?, at, delivery })
}
