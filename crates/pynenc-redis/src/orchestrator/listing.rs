//! Reading many invocations at once: records, inspections, listings and counts.

use std::time::Duration;

use pynenc_core::orchestrator::{Counts, Find, Inspection, Tracked};
use pynenc_core::page::{Cursor, Page};
use pynenc_core::{InvocationId, Result, RunnerId, Status, Timestamp};
use redis::Value;

use crate::arguments::{self, BATCH};
use crate::client::Client;
use crate::codec::{Pack, Parse, text};
use crate::codes::status_code;
use crate::error::unexpected_reply;
use crate::keys::Key;
use crate::value::{bytes, ids, list, number};
use crate::{entry, script};

/// The number of batches that a page may examine.
const STEPS: usize = Find::LOOKED_AT / BATCH;
/// The latest time that an entry can have.
const LATEST: Timestamp = Timestamp::from_millis((1 << 48) - 1);

pub(super) async fn find(client: &Client, find: &Find) -> Result<Page<Tracked>> {
    let most = most(client, find).await?;
    let filter = Filter {
        statuses: find.statuses.iter().map(|status| status_code(*status)).collect(),
        task: find.task.as_ref().map_or("", |task| task.as_str()).into(),
        owner: find.owner,
        queued_for: find.queued_for,
        since: find.since.unwrap_or_default(),
        until: find.until.unwrap_or(LATEST),
        newest_first: find.newest_first,
        is_unsuccessful: are_unsuccessful(&find.statuses),
        most,
    };
    page(client, &filter, find.after.max(start(find)), find.limit).await
}

/// The largest number of matches. It is known where the listing is filtered by statuses alone or for queued invocations,
/// and saves a search to the end.
async fn most(client: &Client, find: &Find) -> Result<usize> {
    let only_statuses =
        Find { statuses: find.statuses.clone(), newest_first: find.newest_first, limit: find.limit, ..Find::default() };
    let counted = if find.queued_for.is_some() {
        count(client).await?.queued.values().sum::<u64>()
    } else if find.statuses.is_empty() || *find != only_statuses {
        return Ok(usize::MAX);
    } else {
        let counts = count(client).await?.statuses;
        find.statuses.iter().filter_map(|status| counts.get(status)).sum()
    };
    Ok(counted as usize)
}

/// The position before the first possible match.
fn start(find: &Find) -> Option<Cursor> {
    let before = |at| Cursor { at, id: InvocationId::from_bytes([0; 16]) };
    if find.newest_first { None } else { find.since.map(before) }
}

/// Whether the index of invocations that finished without a value has all of these statuses.
fn are_unsuccessful(statuses: &[Status]) -> bool {
    let is_unsuccessful = |status: &Status| status.is_final() && *status != Status::Success;
    !statuses.is_empty() && statuses.iter().all(is_unsuccessful)
}

struct Filter {
    statuses: Vec<u8>,
    task: Vec<u8>,
    owner: Option<RunnerId>,
    queued_for: Option<Duration>,
    since: Timestamp,
    until: Timestamp,
    newest_first: bool,
    is_unsuccessful: bool,
    /// The largest number of matches.
    most: usize,
}

/// Requests one item more than the page holds, to learn whether there is another page.
async fn page(client: &Client, filter: &Filter, mut after: Option<Cursor>, limit: usize) -> Result<Page<Tracked>> {
    let mut found: Vec<(Tracked, Cursor)> = Vec::new();
    let mut steps = 0;
    let examined_up_to = loop {
        if found.len() >= filter.most {
            break None;
        }
        let left = limit.saturating_add(1) - found.len();
        let (items, next) = step(client, filter, after, left).await?;
        found.extend(items);
        steps += 1;
        if next.is_none() || found.len() > limit || steps == STEPS {
            break next;
        }
        after = next;
    };
    let is_more = found.len() > limit;
    found.truncate(limit);
    let next = if is_more { found.last().map(|(_, cursor)| *cursor) } else { examined_up_to };
    Ok(Page { items: found.into_iter().map(|(tracked, _)| tracked).collect(), next })
}

/// Examines one batch of entries behind a position. Returns the matches, and the position where the batch ended.
async fn step(
    client: &Client,
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
) -> Result<(Vec<(Tracked, Cursor)>, Option<Cursor>)> {
    let newest = Cursor { at: filter.until, id: InvocationId::from_bytes([u8::MAX; 16]) };
    let after = match after {
        None if filter.newest_first => Some(newest),
        Some(after) if filter.newest_first => Some(after.min(newest)),
        after => after,
    };
    let header = Pack::new().cursor(after).u32(limit as u64).millis(filter.queued_for.unwrap_or_default());
    let header = header.u48(filter.since.as_millis()).u48(filter.until.as_millis());
    let header =
        header.u8(filter.queued_for.is_some().into()).u8(filter.newest_first.into()).u8(filter.is_unsuccessful.into());
    let header = header.u32(filter.most as u64);
    let owner = filter.owner.map(|owner| owner.as_bytes().to_vec()).unwrap_or_default();
    let arguments = [header.done(), filter.statuses.clone(), filter.task.clone(), owner];
    let mut replies = list(client.run(&script::FIND, &arguments).await?)?.into_iter();
    let next = bytes(replies.next().ok_or_else(|| unexpected_reply("a page"))?)?;
    let next = if next.is_empty() { None } else { Some(Parse::new(&next).cursor()?) };
    let items = replies.map(|entry| entry::with_id(&bytes(entry)?)).collect::<Result<_>>()?;
    Ok((items, next))
}

pub(super) async fn inspect(client: &Client, ids: &[InvocationId]) -> Result<Vec<Option<Inspection>>> {
    let mut found = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(BATCH) {
        let mut replies = list(client.run(&script::INSPECT, &arguments::ids(chunk)).await?)?.into_iter();
        let now = Timestamp::from_millis(number(&replies.next().ok_or_else(|| unexpected_reply("a time"))?)?);
        for (id, reply) in chunk.iter().zip(replies) {
            found.push(if reply == Value::Nil { None } else { Some(inspection(*id, list(reply)?, now)?) });
        }
    }
    Ok(found)
}

fn inspection(id: InvocationId, reply: Vec<Value>, now: Timestamp) -> Result<Inspection> {
    let [head, log, holders, before, awaits] =
        <[Value; 5]>::try_from(reply).map_err(|_| unexpected_reply("an inspection"))?;
    let (head, log) = (bytes(head)?, bytes(log)?);
    Ok(Inspection {
        tracked: entry::tracked(id, &head)?,
        registration: entry::registration(id, &head)?,
        history: entry::history(&head, &log)?,
        holders: sorted_ids(holders)?,
        parked_before: if let Value::Int(0..) = before { Some(number(&before)?) } else { None },
        awaits: sorted_ids(awaits)?,
        now,
    })
}

fn sorted_ids(values: Value) -> Result<Vec<InvocationId>> {
    let mut ids = ids(list(values)?)?;
    ids.sort_unstable();
    Ok(ids)
}

pub(super) async fn count(client: &Client) -> Result<Counts> {
    let fields = list(client.send(redis::cmd("HGETALL").arg(client.key(Key::Counts))).await?)?;
    let mut counts = Counts::default();
    for pair in fields.chunks_exact(2) {
        let (field, count) = (bytes(pair[0].clone())?, bytes(pair[1].clone())?);
        let count = text(&count)?.parse::<i64>().ok().and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
        let [kind, code, queue @ ..] = &field[..] else { return Err(unexpected_reply("a count")) };
        if count == 0 {
            continue;
        }
        let counts_of_status = if *kind == b'f' { &mut counts.forgotten } else { &mut counts.statuses };
        *counts_of_status.entry(entry::status(*code)?).or_default() += count;
        if *kind == b'q' {
            *counts.queued.entry(text(queue)?.into()).or_default() += count;
        }
    }
    Ok(counts)
}
