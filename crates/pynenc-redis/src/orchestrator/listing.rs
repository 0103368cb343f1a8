//! Questions about many invocations at once.

use std::collections::BTreeMap;
use std::time::Duration;

use pynenc_core::orchestrator::{Counts, Cursor, Find, HistoryEntry, Inspected, Page, Tracked};
use pynenc_core::{InvocationId, Result, Status, Timestamp};
use redis::Value;
use rustc_hash::FxHashMap;

use crate::client::{BATCH, RedisStore, bytes, list, number};
use crate::codec::{self, Pack, Parse, text};
use crate::error::misshapen;
use crate::keys::Key;
use crate::script::{Verb, status_code};

pub(super) async fn records(store: &RedisStore, ids: &[InvocationId]) -> Result<Vec<Option<Tracked>>> {
    let keys = ids.iter().map(|id| store.of(Key::Entry, id.as_bytes())).collect();
    let entries = store.values(keys).await?;
    let found = ids.iter().zip(entries);
    found.map(|(id, raw)| raw.map(|raw| codec::tracked_entry(*id, &raw)).transpose()).collect()
}

/// The indexes in which entries are looked for, as bits.
const QUEUED: u8 = 1;
const REST: u8 = 2;
const UNSUCCESSFUL: u8 = 4;
/// A page asks so often for a batch.
const STEPS: usize = Find::LOOKED_AT / 500;

pub(super) async fn find(store: &RedisStore, find: &Find) -> Result<Page<Tracked>> {
    let filter = Filter {
        statuses: find.statuses.iter().map(|status| status_code(*status)).collect(),
        task: find.task.as_ref().map_or("", |task| task.as_str()).into(),
        since: find.since.unwrap_or_default(),
        until: find.until.unwrap_or(LAST),
        newest_first: find.newest_first,
        indexes: indexes(&find.statuses),
        ..Filter::default()
    };
    let has_only_statuses = find.task.is_none() && find.since.is_none() && find.until.is_none() && find.after.is_none();
    let most = if find.statuses.is_empty() || !has_only_statuses {
        usize::MAX
    } else {
        let counts = count(store).await?.statuses;
        find.statuses.iter().filter_map(|status| counts.get(status)).sum::<u64>() as usize
    };
    page(store, &filter, find.after.max(first(find)), find.limit, most).await
}

/// The place before the first that can be wanted.
fn first(find: &Find) -> Option<Cursor> {
    let before = |at| Cursor { at, id: InvocationId::from_bytes([0; 16]) };
    if find.newest_first { None } else { find.since.map(before) }
}

/// Where entries of these statuses are.
fn indexes(statuses: &[Status]) -> u8 {
    if statuses.is_empty() {
        return QUEUED | REST;
    }
    let index = |status: &Status| match status {
        // One that waits for an event isn't queued.
        Status::Scheduled => QUEUED | REST,
        status if status.is_claimable() => QUEUED,
        Status::Failed | Status::Cancelled | Status::ConcurrencyControlledFinal => UNSUCCESSFUL,
        _ => REST,
    };
    let all = statuses.iter().map(index).fold(0, |all, index| all | index);
    // The rest has those without a value too.
    if all & REST == 0 { all } else { all & !UNSUCCESSFUL }
}

pub(super) async fn queued(
    store: &RedisStore,
    after: Option<Cursor>,
    unchanged_for: Duration,
    limit: usize,
) -> Result<Page<Tracked>> {
    let filter = Filter { unchanged_for, only_queued: true, until: LAST, indexes: QUEUED, ..Filter::default() };
    page(store, &filter, after, limit, usize::MAX).await
}

/// The last time that an entry can have.
const LAST: Timestamp = Timestamp::from_millis((1 << 48) - 1);

#[derive(Default)]
struct Filter {
    statuses: Vec<u8>,
    task: Vec<u8>,
    unchanged_for: Duration,
    since: Timestamp,
    until: Timestamp,
    only_queued: bool,
    newest_first: bool,
    indexes: u8,
}

/// Asks for one more than the page holds, to know whether there is another page; it is known that there are no more than
/// `most`.
async fn page(
    store: &RedisStore,
    filter: &Filter,
    mut after: Option<Cursor>,
    limit: usize,
    most: usize,
) -> Result<Page<Tracked>> {
    let mut found: Vec<(Tracked, Cursor)> = Vec::new();
    let mut steps = 0;
    let looked_up_to = loop {
        if found.len() >= most {
            break None;
        }
        let left = limit.saturating_add(1) - found.len();
        let (items, next) = step(store, filter, after, left).await?;
        found.extend(items);
        steps += 1;
        if next.is_none() || found.len() > limit || steps == STEPS {
            break next;
        }
        after = next;
    };
    let is_more = found.len() > limit;
    found.truncate(limit);
    let next = if is_more { found.last().map(|(_, place)| *place) } else { looked_up_to };
    Ok(Page { items: found.into_iter().map(|(tracked, _)| tracked).collect(), next })
}

/// Some of what there is behind a place, and how far it was looked.
async fn step(
    store: &RedisStore,
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
) -> Result<(Vec<(Tracked, Cursor)>, Option<Cursor>)> {
    let newest = Cursor { at: filter.until, id: InvocationId::from_bytes([u8::MAX; 16]) };
    let head = match after {
        None if filter.newest_first => Pack::new().place(Some(newest)),
        Some(after) if filter.newest_first => Pack::new().place(Some(after.min(newest))),
        after => Pack::new().place(after),
    };
    let head = head.u32(limit as u64).millis(filter.unchanged_for);
    let head = head.u48(filter.since.as_millis()).u48(filter.until.as_millis());
    let head = head.u8(filter.only_queued.into()).u8(filter.newest_first.into()).u8(filter.indexes);
    let arguments = [head.done(), filter.statuses.clone(), filter.task.clone()];
    let mut replies = list(store.run(Verb::Page, &arguments).await?)?.into_iter();
    let next = bytes(replies.next().ok_or_else(|| misshapen("a page"))?)?;
    let next = if next.is_empty() { None } else { Some(Parse::new(&next).place()?) };
    let items = replies.map(|entry| codec::with_id(&bytes(entry)?)).collect::<Result<_>>()?;
    Ok((items, next))
}

pub(super) async fn inspect(store: &RedisStore, ids: &[InvocationId]) -> Result<Vec<Option<Inspected>>> {
    let mut found = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(BATCH) {
        let mut replies = list(store.run(Verb::Inspect, &super::id_items(chunk)).await?)?.into_iter();
        let now = Timestamp::from_millis(number(&replies.next().ok_or_else(|| misshapen("a time"))?)?);
        for (id, reply) in chunk.iter().zip(replies) {
            found.push(if reply == Value::Nil { None } else { Some(inspected(*id, list(reply)?, now)?) });
        }
    }
    Ok(found)
}

fn inspected(id: InvocationId, reply: Vec<Value>, now: Timestamp) -> Result<Inspected> {
    let [entry, holders, before, awaits] = <[Value; 4]>::try_from(reply).map_err(|_| misshapen("an inspection"))?;
    let entry = bytes(entry)?;
    let (tracked, registration) = (codec::tracked_entry(id, &entry)?, codec::registration(id, &entry)?);
    Ok(Inspected {
        tracked,
        registration,
        holders: sorted_ids(holders)?,
        parked_before: if let Value::Int(0..) = before { Some(number(&before)?) } else { None },
        awaits: sorted_ids(awaits)?,
        now,
    })
}

fn sorted_ids(values: Value) -> Result<Vec<InvocationId>> {
    let mut ids = list(values)?.into_iter().map(|id| Parse::new(&bytes(id)?).id()).collect::<Result<Vec<_>>>()?;
    ids.sort_unstable();
    Ok(ids)
}

pub(super) async fn count(store: &RedisStore) -> Result<Counts> {
    let fields = list(store.send(redis::cmd("HGETALL").arg(store.one(Key::Counts))).await?)?;
    let mut counts = Counts { statuses: BTreeMap::new(), queued: BTreeMap::new() };
    for pair in fields.chunks_exact(2) {
        let (field, count) = (bytes(pair[0].clone())?, bytes(pair[1].clone())?);
        let count = text(&count)?.parse::<i64>().ok().and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
        let [kind, code, queue @ ..] = &field[..] else { return Err(misshapen("a count")) };
        if count > 0 {
            *counts.statuses.entry(codec::status(*code)?).or_default() += count;
        }
        if count > 0 && *kind == b'q' {
            *counts.queued.entry(text(queue)?.into()).or_default() += count;
        }
    }
    Ok(counts)
}

pub(super) async fn history(store: &RedisStore, id: InvocationId) -> Result<Vec<HistoryEntry>> {
    let Some(raw) = store.values(vec![store.of(Key::Entry, id.as_bytes())]).await?.pop().flatten() else {
        return Ok(Vec::new());
    };
    let fields = list(store.send(redis::cmd("HGETALL").arg(store.of(Key::Details, id.as_bytes()))).await?)?;
    let mut details = details(fields)?;
    codec::history(&raw, |version| details.remove(&version))
}

fn details(fields: Vec<Value>) -> Result<FxHashMap<u64, Box<str>>> {
    let mut details = FxHashMap::default();
    let mut fields = fields.into_iter();
    while let Some((version, detail)) = fields.next().zip(fields.next()) {
        let version = text(&bytes(version)?)?.parse().map_err(|_| misshapen("a version"))?;
        details.insert(version, text(&bytes(detail)?)?.into());
    }
    Ok(details)
}
