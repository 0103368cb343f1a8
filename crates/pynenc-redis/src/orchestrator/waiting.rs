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
use crate::decision::{self, Paused};
use crate::error::unexpected_reply;
use crate::value::{bytes, ids};
use crate::{arguments, entry, script};

#[async_trait]
impl Waiting for RedisOrchestrator {
    async fn block(&self, block: &Block) -> Result<Blocked> {
        let ids = arguments::ids(&block.on);
        let pause = || async { blocked(decision::pause(self.client(), &script::BLOCK, block, &[], &ids).await?) };
        self.client().retry_if_garbled(pause).await
    }

    async fn watch(&self, ids: &[InvocationId]) -> Result<BoxStream<'static, Completion>> {
        let ids: Vec<InvocationId> = ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        self.store.pubsub().watch(&ids).await
    }
}

fn blocked(reply: Paused) -> Result<Blocked> {
    match reply {
        Paused::Refused(refusal) => Ok(Blocked::Refused(refusal)),
        Paused::Replied { code: b'Y', .. } => Ok(Blocked::Ready),
        Paused::Replied { code: b'K', rest, .. } => ids(rest).map(Blocked::Cycle),
        Paused::Replied { code: b'D', rest, waiter, .. } => {
            let raised = rest.into_iter().map(raised).collect::<Result<_>>()?;
            Ok(Blocked::Waiting { record: waiter, raised })
        }
        Paused::Replied { .. } => Err(unexpected_reply("a reply to a block")),
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
