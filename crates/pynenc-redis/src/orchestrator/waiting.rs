//! Task functions that wait for other invocations, and watches.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use pynenc_core::broker::Message;
use pynenc_core::orchestrator::{Block, Blocked, Completion, Waiting};
use pynenc_core::{InvocationId, Result};
use redis::Value;

use super::store::RedisOrchestrator;
use crate::codec::Parse;
use crate::error::unexpected_reply;
use crate::value::{bytes, ids, list};
use crate::{arguments, entry, replies, script};

#[async_trait]
impl Waiting for RedisOrchestrator {
    async fn block(&self, block: &Block) -> Result<Blocked> {
        let mut arguments = vec![arguments::waiter(block)];
        arguments.extend(arguments::ids(&block.on));
        let run = || async { blocked(block, self.client().run(&script::BLOCK, &arguments).await?) };
        self.client().retry_if_garbled(run).await
    }

    async fn watch(&self, ids: &[InvocationId]) -> Result<BoxStream<'static, Completion>> {
        let ids: Vec<InvocationId> = ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        self.store.pubsub().watch(&ids).await
    }
}

fn blocked(block: &Block, reply: Value) -> Result<Blocked> {
    let mut values = list(reply)?.into_iter();
    let first = bytes(values.next().ok_or_else(|| unexpected_reply("a reply to a block"))?)?;
    match first.split_first() {
        Some((b'W', header)) => {
            let raised = values.map(raised).collect::<Result<_>>()?;
            Ok(Blocked::Waiting { record: entry::header(header)?, raised })
        }
        Some((b'Y', _)) => Ok(Blocked::Ready),
        Some((b'K', _)) => ids(values).map(Blocked::Cycle),
        Some((b'R', refusal)) => replies::pause_refused(block, refusal).map(Blocked::Refused),
        _ => Err(unexpected_reply("a reply to a block")),
    }
}

/// The hint for an awaited invocation, with a priority that depends on the number of waiters.
fn raised(value: Value) -> Result<Message> {
    let value = bytes(value)?;
    let mut parse = Parse::new(&value);
    let waiters = parse.u32()?;
    let tracked = entry::with_id(parse.rest())?.0;
    Ok(Message { priority: tracked.priority.raised(waiters as usize), ..tracked.message() })
}
