//! The trigger store on Redis: definitions, events, occurrences, runs and watermarks.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use pynenc_core::component::StoreId;
use pynenc_core::packed::{pack, unpack};
use pynenc_core::trigger_store::{
    Delivered, Delivery, Event, EventListener, EventWait, EventsTake, FiredRun, Firing, HandledEvent, Lookup, NewEvent,
    Notification, Occurrence, Offered, ReadyTake, RunOutcome, ScheduleSlot, StoredTrigger, TriggerDefinition,
    TriggerRuns, TriggerUpdate, Watermarks,
};
use pynenc_core::{Component, InvocationId, Result, Timestamp, TriggerStore};
use redis::Value;

use crate::arguments::{self, BATCH, decimal};
use crate::client::Client;
use crate::codec::{Pack, Parse, check_names, millis, owned_bytes, text};
use crate::error::unexpected_reply;
use crate::keys::Family;
use crate::script::{self, Script};
use crate::store::RedisStore;
use crate::value::{bytes, ids, is_one, list, number};

/// A trigger store on Redis.
#[derive(Debug, Clone)]
pub struct RedisTriggerStore {
    store: RedisStore,
}

impl RedisTriggerStore {
    /// A trigger store in this store.
    pub fn new(store: RedisStore) -> Self {
        Self { store }
    }

    fn client(&self) -> &Client {
        self.store.client()
    }

    async fn run(&self, script: &'static Script, arguments: &[Vec<u8>]) -> Result<Vec<Value>> {
        list(self.client().run(script, arguments).await?)
    }
}

#[async_trait]
impl Component for RedisTriggerStore {
    async fn purge(&self) -> Result<()> {
        self.client().purge(Family::Triggers).await
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(self.client().store_id())
    }
}

#[async_trait]
impl TriggerStore for RedisTriggerStore {
    async fn update_definitions(&self, updates: &[TriggerUpdate]) -> Result<()> {
        for chunk in updates.chunks(BATCH) {
            let mut arguments = Vec::with_capacity(4 * chunk.len());
            for update in chunk {
                arguments.extend(update_items(update)?);
            }
            self.client().run(&script::UPDATE_DEFINITIONS, &arguments).await?;
        }
        Ok(())
    }

    async fn definitions(&self) -> Result<Vec<StoredTrigger>> {
        let values = self.run(&script::DEFINITIONS, &[]).await?;
        let mut triggers = pairs(values).map(stored_trigger).collect::<Result<Vec<_>>>()?;
        triggers.sort_by(|a, b| a.definition.id.cmp(&b.definition.id));
        Ok(triggers)
    }

    async fn append_events(&self, events: &[NewEvent]) -> Result<Vec<u64>> {
        check_names(events.iter().flat_map(|event| [&*event.name, &*event.serializer]))?;
        let mut positions = Vec::with_capacity(events.len());
        for chunk in events.chunks(BATCH) {
            let items = chunk
                .iter()
                .flat_map(|event| [event.name.as_bytes().to_vec(), marked(event.key.as_deref()), event_value(event)]);
            for position in self.run(&script::APPEND_EVENTS, &items.collect::<Vec<_>>()).await? {
                positions.push(number(&position)?);
            }
        }
        Ok(positions)
    }

    async fn take_events(&self, take: &EventsTake) -> Result<Vec<Offered>> {
        let batches = take.done.chunks_exact(BATCH);
        let arguments = take_events_arguments(batches.remainder(), take);
        for batch in batches {
            self.run(&script::TAKE_EVENTS, &take_events_arguments(batch, &EventsTake::default())).await?;
        }
        let values = self.run(&script::TAKE_EVENTS, &arguments).await?;
        values.chunks_exact(3).map(|offer| offered(&take.listeners, offer)).collect()
    }

    async fn await_events(&self, waits: &[EventWait]) -> Result<Vec<Option<Event>>> {
        check_names(waits.iter().map(|wait| &*wait.name))?;
        let mut found = Vec::with_capacity(waits.len());
        for chunk in waits.chunks(BATCH) {
            let arguments: Vec<_> = chunk.iter().flat_map(wait_items).collect();
            let values = self.run(&script::AWAIT_EVENTS, &arguments).await?;
            for reply in values.chunks_exact(2) {
                let stored = bytes(reply[1].clone())?;
                found.push(if stored.is_empty() { None } else { Some(event(&reply[0], &stored)?) });
            }
        }
        Ok(found)
    }

    async fn take_ready(&self, take: &ReadyTake) -> Result<Vec<InvocationId>> {
        let batches = take.done.chunks_exact(BATCH);
        let arguments = take_ready_arguments(batches.remainder(), take);
        for batch in batches {
            self.run(&script::TAKE_READY, &take_ready_arguments(batch, &ReadyTake::default())).await?;
        }
        ids(self.run(&script::TAKE_READY, &arguments).await?)
    }

    async fn put_occurrences(
        &self,
        occurrences: &[Occurrence],
        lookups: &[Lookup],
        limit: usize,
    ) -> Result<Vec<Vec<Occurrence>>> {
        check_names(occurrences.iter().flat_map(|occurrence| [&*occurrence.id, &*occurrence.trigger]))?;
        let batches = occurrences.chunks_exact(BATCH);
        let last = batches.remainder();
        for batch in batches {
            self.run(&script::PUT_OCCURRENCES, &put_occurrences_arguments(batch, &[], 0)).await?;
        }
        if last.is_empty() && lookups.is_empty() {
            return Ok(Vec::new());
        }
        let replies = self.run(&script::PUT_OCCURRENCES, &put_occurrences_arguments(last, lookups, limit)).await?;
        let found = lookups
            .iter()
            .zip(replies)
            .map(|(lookup, reply)| pairs(list(reply)?).map(|(id, stored)| occurrence(lookup, id, &stored)).collect());
        found.collect()
    }

    async fn fire(&self, firings: &[Firing]) -> Result<Vec<bool>> {
        let mut fired = Vec::with_capacity(firings.len());
        for chunk in firings.chunks(BATCH) {
            let mut arguments = Vec::new();
            for firing in chunk {
                arguments.extend(firing_items(firing)?);
            }
            fired.extend(self.run(&script::FIRE, &arguments).await?.iter().map(is_one));
        }
        Ok(fired)
    }

    async fn runs(&self, runs: &TriggerRuns, limit: usize) -> Result<Vec<FiredRun>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let [kind, selected] = match runs {
            TriggerRuns::Of(trigger) => [b"of".to_vec(), trigger.as_bytes().to_vec()],
            TriggerRuns::Undelivered(age) => [b"undelivered".to_vec(), decimal(millis(*age))],
        };
        let values = self.run(&script::RUNS, &[arguments::limit(limit), kind, selected]).await?;
        values.chunks_exact(3).map(fired_run).collect()
    }

    async fn delivered(&self, delivered: &[Delivered]) -> Result<()> {
        for chunk in delivered.chunks(BATCH) {
            let items = chunk.iter().flat_map(|item| [&*item.run, item.refused.as_deref().unwrap_or_default()]);
            let items: Vec<_> = items.map(|item| item.as_bytes().to_vec()).collect();
            self.client().run(&script::DELIVERED, &items).await?;
        }
        Ok(())
    }

    async fn watermarks(&self, schedules: &[Box<str>]) -> Result<Watermarks> {
        check_names(schedules.iter().map(|schedule| &**schedule))?;
        let values = self.run(&script::WATERMARKS, &names(schedules)).await?;
        let times = values.iter().map(|time| Ok(Timestamp::from_millis(number(time)?)));
        let mut times = times.collect::<Result<Vec<_>>>()?.into_iter();
        let now = times.next().ok_or_else(|| unexpected_reply("the present time"))?;
        Ok(Watermarks { now, marks: times.collect() })
    }

    async fn notifications(&self) -> Result<BoxStream<'static, Notification>> {
        self.store.pubsub().notifications().await
    }

    async fn expire(&self, age: Duration, limit: usize) -> Result<usize> {
        let arguments = [decimal(millis(age)), arguments::limit(limit)];
        Ok(number(&self.client().run(&script::EXPIRE, &arguments).await?)? as usize)
    }
}

/// A change of a definition: its kind, the trigger, and for a definition its length, negative if it stays, and its
/// spec.
fn update_items(update: &TriggerUpdate) -> Result<[Vec<u8>; 4]> {
    let change = |kind: &str, trigger: &str| [kind.into(), trigger.into(), Vec::new(), Vec::new()];
    Ok(match update {
        TriggerUpdate::Define { definition: TriggerDefinition { id, spec }, length } => {
            check_names([&**id])?;
            let length = length.map_or_else(|| b"-1".to_vec(), |length| decimal(millis(length)));
            [b"define".to_vec(), id.as_bytes().to_vec(), length, spec.to_vec()]
        }
        TriggerUpdate::Pause(trigger) => change("pause", trigger),
        TriggerUpdate::Resume(trigger) => change("resume", trigger),
        TriggerUpdate::Remove(trigger) => change("remove", trigger),
    })
}

/// Acknowledges some events, then takes others.
fn take_events_arguments(done: &[HandledEvent], take: &EventsTake) -> Vec<Vec<u8>> {
    let mut arguments =
        vec![arguments::limit(take.limit), decimal(millis(take.again_after)), decimal(done.len() as u64)];
    arguments.extend(done.iter().flat_map(|event| [event.listener.as_bytes().to_vec(), decimal(event.sequence)]));
    arguments.extend(take.listeners.iter().flat_map(listener_items));
    arguments
}

/// Ends the waits of some waiters, then takes others.
fn take_ready_arguments(done: &[InvocationId], take: &ReadyTake) -> Vec<Vec<u8>> {
    let mut arguments = vec![arguments::limit(take.limit), decimal(millis(take.again_after))];
    arguments.extend(arguments::ids(done));
    arguments
}

fn put_occurrences_arguments(occurrences: &[Occurrence], lookups: &[Lookup], limit: usize) -> Vec<Vec<u8>> {
    let mut arguments = vec![arguments::limit(limit), decimal(occurrences.len() as u64)];
    arguments.extend(occurrences.iter().flat_map(occurrence_items));
    arguments.extend(lookups.iter().flat_map(lookup_items));
    arguments
}

fn names(names: &[Box<str>]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// Names or positions, each with its stored value. A name whose value is gone is left out.
fn pairs(values: Vec<Value>) -> impl Iterator<Item = (Value, Vec<u8>)> {
    let mut values = values.into_iter();
    let pairs = std::iter::from_fn(move || values.next().zip(values.next()));
    pairs.filter_map(|(name, stored)| Some((name, bytes(stored).ok()?)))
}

fn stored_trigger((id, stored): (Value, Vec<u8>)) -> Result<StoredTrigger> {
    let mut parse = Parse::new(&stored);
    let (stays, paused) = (parse.u8()? == 1, parse.u8()? == 1);
    let definition = TriggerDefinition { id: text(&bytes(id)?)?.into(), spec: owned_bytes(parse.rest()) };
    Ok(StoredTrigger { definition, paused, stays })
}

/// A key behind a mark, which distinguishes an empty key from no key.
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

/// The part of an event that the script doesn't add itself: the key, the serializer and the payload.
fn event_value(event: &NewEvent) -> Vec<u8> {
    let pack = match &event.key {
        Some(key) => Pack::new().u8(1).u32(key.len() as u64).bytes(key.as_bytes()),
        None => Pack::new().u8(0),
    };
    pack.sized(event.serializer.as_bytes()).bytes(&event.payload).done()
}

fn event(sequence: &Value, stored: &[u8]) -> Result<Event> {
    let mut parse = Parse::new(stored);
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

fn listener_items(listener: &EventListener) -> [Vec<u8>; 2] {
    [listener.id.as_bytes().to_vec(), listener.name.as_bytes().to_vec()]
}

fn offered(listeners: &[EventListener], offer: &[Value]) -> Result<Offered> {
    let listener = listeners.get(number(&offer[0])? as usize).ok_or_else(|| unexpected_reply("a listener"))?;
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

fn occurrence(lookup: &Lookup, id: Value, stored: &[u8]) -> Result<Occurrence> {
    let mut parse = Parse::new(stored);
    let (at, until) = (parse.time()?, parse.time()?);
    parse.sized()?;
    parse.sized()?;
    let Lookup { trigger, condition, .. } = lookup.clone();
    Ok(Occurrence { id: text(&bytes(id)?)?.into(), trigger, condition, context: owned_bytes(parse.rest()), at, until })
}

/// A run, or a skipped slot. Its kind is `call` for a run with a call, `run` for one without, and `skip`.
fn firing_items(firing: &Firing) -> Result<Vec<Vec<u8>>> {
    let run = match firing {
        Firing::Run(run) => run,
        Firing::Skip(slot) => {
            let mut items = vec![b"skip".to_vec(), Vec::new(), Vec::new(), Vec::new()];
            items.extend(slot_items(Some(slot)));
            items.push(decimal(0));
            return Ok(items);
        }
    };
    check_names([&*run.id, &*run.trigger])?;
    let kind = if matches!(run.outcome, RunOutcome::Call { .. }) { "call" } else { "run" };
    let mut items = vec![kind.into(), run.id.as_bytes().to_vec(), run.trigger.as_bytes().to_vec(), pack(run)];
    items.extend(slot_items(run.slot.as_ref()));
    items.push(decimal(run.consumes.len() as u64));
    items.extend(names(&run.consumes));
    Ok(items)
}

fn slot_items(slot: Option<&ScheduleSlot>) -> [Vec<u8>; 3] {
    slot.map_or_else(Default::default, |ScheduleSlot { schedule, from, to }| {
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
    Ok(FiredRun { run: unpack(&bytes(values[2].clone())?)?, at, delivery })
}
