//! Questions about many invocations at once.

use std::collections::BTreeMap;
use std::time::Duration;

use pynenc_core::orchestrator::{Counts, Cursor, Find, HistoryEntry, Inspected, Page, Tracked};
use pynenc_core::{InvocationId, Result, Timestamp};
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

pub(super) async fn find(store: &RedisStore, find: &Find) -> Result<Page<Tracked>> {
    let statuses: Vec<u8> = find.statuses.iter().map(|status| status_code(*status)).collect();
    let task = find.task.as_ref().map_or("", |task| task.as_str());
    let filter = Filter {
        statuses,
        task: task.into(),
        since: find.since.unwrap_or_default(),
        newest_first: find.newest_first,
        ..Filter::default()
    };
    let first =
        find.since.filter(|_| !find.newest_first).map(|at| Cursor { at, id: InvocationId::from_bytes([0; 16]) });
    page(store, &filter, find.after.max(first), find.limit).await
}

pub(super) async fn queued(
    store: &RedisStore,
    after: Option<Cursor>,
    unchanged_for: Duration,
    limit: usize,
) -> Result<Page<Tracked>> {
    let filter = Filter { unchanged_for, only_queued: true, ..Filter::default() };
    page(store, &filter, after, limit).await
}

#[derive(Default)]
struct Filter {
    statuses: Vec<u8>,
    task: Vec<u8>,
    unchanged_for: Duration,
    since: Timestamp,
    only_queued: bool,
    newest_first: bool,
}

/// Asks for one more than the page holds, to know whether there is another page.
async fn page(store: &RedisStore, filter: &Filter, after: Option<Cursor>, limit: usize) -> Result<Page<Tracked>> {
    let mut found: Vec<(Tracked, Cursor)> = Vec::new();
    let mut after = after;
    loop {
        let left = limit.saturating_add(1) - found.len();
        let (items, next) = step(store, filter, after, left).await?;
        found.extend(items);
        if next.is_none() || found.len() > limit {
            break;
        }
        after = next;
    }
    let is_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().map(|(_, place)| *place).filter(|_| is_more);
    Ok(Page { items: found.into_iter().map(|(tracked, _)| tracked).collect(), next })
}

/// Some of what there is behind a place, and how far it was looked.
async fn step(
    store: &RedisStore,
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
) -> Result<(Vec<(Tracked, Cursor)>, Option<Cursor>)> {
    let head = match after {
        None if filter.newest_first => Pack::new().last_place(),
        after => Pack::new().place(after),
    };
    let head = head.u32(limit as u64).millis(filter.unchanged_for).u48(filter.since.as_millis());
    let head = head.u8(filter.only_queued.into()).u8(filter.newest_first.into());
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
