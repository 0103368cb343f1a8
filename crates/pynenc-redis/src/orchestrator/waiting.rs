//! Bodies that wait for other invocations, and callers that want to know of ends.

use std::collections::BTreeSet;

use futures_util::stream::BoxStream;
use pynenc_core::broker::Message;
use pynenc_core::orchestrator::{Block, Blocked, Ended, Transition};
use pynenc_core::status::{By, Change};
use pynenc_core::{InvocationId, Reason, Result, Status};
use redis::Value;

use super::{id_items, replies};
use crate::client::{RedisStore, bytes, list};
use crate::codec::{self, Pack, Parse};
use crate::error::misshapen;
use crate::script::Verb;

pub(super) async fn block(store: &RedisStore, block: &Block) -> Result<Blocked> {
    let mut arguments = vec![waiter_item(block)];
    arguments.extend(id_items(&block.on));
    let mut values = list(store.run(Verb::Block, &arguments).await?)?.into_iter();
    let first = bytes(values.next().ok_or_else(|| misshapen("a block's answer"))?)?;
    let Some((code, rest)) = first.split_first() else { return Err(misshapen("a block's answer")) };
    match code {
        b'W' => {
            Ok(Blocked::Waiting { record: codec::header(rest)?, raised: values.map(raised).collect::<Result<_>>()? })
        }
        b'Y' => Ok(Blocked::Ready),
        b'K' => Ok(Blocked::Cycle(values.map(|id| Parse::new(&bytes(id)?).id()).collect::<Result<_>>()?)),
        b'R' => replies::refusal(&pause(block), rest).map(Blocked::Refused),
        _ => Err(misshapen("a block's answer")),
    }
}

/// Who waits, as scripts take it.
pub(crate) fn waiter_item(block: &Block) -> Vec<u8> {
    let Block { waiter, expect, runner, .. } = block;
    let pack = Pack::new().bytes(waiter.as_bytes()).u32(expect.version).u32(expect.epoch);
    pack.bytes(runner.as_bytes()).done()
}

fn raised(value: Value) -> Result<Message> {
    let value = bytes(value)?;
    let mut parse = Parse::new(&value);
    let waiters = parse.u32()?;
    let tracked = codec::with_id(parse.rest())?.0;
    Ok(Message { priority: tracked.priority.raised(waiters as usize), ..tracked.message() })
}

pub(crate) fn pause(block: &Block) -> Transition {
    let change = Change::new(Status::Paused, By::Owner(block.runner), Reason::Waiting);
    Transition { id: block.waiter, expect: block.expect, change }
}

/// Listens first, then looks: an end is seen by the one or the other.
pub(super) async fn watch(store: &RedisStore, ids: &[InvocationId]) -> Result<BoxStream<'static, Ended>> {
    let ids: Vec<InvocationId> = ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let hub = store.hub();
    hub.open(store).await?;
    let watch = hub.watch(&ids);
    match look(store, &ids).await {
        Ok(ended) => {
            ended.into_iter().for_each(|(id, record)| hub.tell(&watch, id, record));
            Ok(watch.stream)
        }
        Err(error) => {
            hub.forget(&watch, &ids);
            Err(error)
        }
    }
}

/// What has ended or doesn't exist; of the rest this process will be told.
pub(super) async fn look(store: &RedisStore, ids: &[InvocationId]) -> Result<Vec<Ended>> {
    let (channel, items) = ([store.hub().channel().to_vec()], id_items(ids));
    store.intact(|| looked(store, ids, &channel, &items)).await
}

async fn looked(
    store: &RedisStore,
    ids: &[InvocationId],
    channel: &[Vec<u8>],
    items: &[Vec<u8>],
) -> Result<Vec<Ended>> {
    let replies = store.run_chunked(Verb::Watch, channel, items, 1).await?;
    let mut ended = Vec::new();
    for (id, reply) in ids.iter().zip(replies) {
        match reply {
            Value::Int(_) => {}
            Value::Nil => ended.push((*id, None)),
            reply => ended.push((*id, Some(codec::header(&bytes(reply)?)?))),
        }
    }
    Ok(ended)
}
