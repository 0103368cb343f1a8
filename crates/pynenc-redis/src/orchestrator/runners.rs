//! Heartbeats, leases, signals and the retirement of runners.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use pynenc_core::orchestrator::{Heartbeat, HeartbeatReply, RunnerInfo, Runners, Signal, Tracked};
use pynenc_core::packed::{pack, unpack};
use pynenc_core::{Result, RunnerId};
use redis::Value;

use super::store::RedisOrchestrator;
use crate::arguments::decimal;
use crate::codec::{Parse, millis, text};
use crate::error::unexpected_reply;
use crate::value::{bytes, ids, is_one, list, number, optional};
use crate::{entry, script};

#[async_trait]
impl Runners for RedisOrchestrator {
    async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<HeartbeatReply> {
        let Heartbeat { runner, lease, interval, description, introduction } = heartbeat;
        let arguments = [
            runner.as_bytes().to_vec(),
            decimal(millis(*lease)),
            decimal(millis(*interval)),
            description.as_bytes().to_vec(),
            introduction.as_ref().map(pack).unwrap_or_default(),
        ];
        let is_last = lease.is_zero();
        // The last heartbeat may come from another runtime, to which the connection for heartbeats doesn't belong.
        let reply = if is_last {
            self.client().run(&script::HEARTBEAT, &arguments).await?
        } else {
            self.client().run_heartbeat(&script::HEARTBEAT, &arguments).await?
        };
        match reply {
            Value::Nil => Ok(HeartbeatReply::Retired),
            reply => {
                let mut values = list(reply)?.into_iter();
                let is_introduced = values.next().as_ref().is_some_and(is_one);
                Ok(HeartbeatReply::Alive { cancel: ids(values)?, is_introduced })
            }
        }
    }

    async fn signals(&self, runner: RunnerId) -> Result<BoxStream<'static, Signal>> {
        self.store.pubsub().signals(runner).await
    }

    async fn runners(&self) -> Result<Vec<RunnerInfo>> {
        let read = || async {
            let runners = list(self.client().run(&script::RUNNERS, &[]).await?)?;
            let mut infos = runners.into_iter().map(|runner| info(list(runner)?)).collect::<Result<Vec<_>>>()?;
            infos.sort_unstable_by_key(|info| info.id);
            Ok(infos)
        };
        self.client().retry_if_garbled(read).await
    }

    async fn retire_expired(&self, limit: usize) -> Result<Vec<(RunnerId, Tracked)>> {
        let retire = || async {
            let mut values =
                list(self.client().run(&script::RETIRE_EXPIRED, &[decimal(limit as u64)]).await?)?.into_iter();
            let mut owned = Vec::new();
            while let Some((runner, entry)) = values.next().zip(values.next()) {
                owned.push((Parse::new(&bytes(runner)?).runner()?, entry::with_id(&bytes(entry)?)?.0));
            }
            Ok(owned)
        };
        self.client().retry_if_garbled(retire).await
    }

    async fn acquire_lease(&self, service: &str, runner: RunnerId, length: Duration) -> Result<bool> {
        let arguments = [service.as_bytes().to_vec(), runner.as_bytes().to_vec(), decimal(millis(length))];
        Ok(is_one(&self.client().run(&script::ACQUIRE_LEASE, &arguments).await?))
    }
}

fn info(values: Vec<Value>) -> Result<RunnerInfo> {
    let [id, stored, owned, introduction] = <[Value; 4]>::try_from(values).map_err(|_| unexpected_reply("a runner"))?;
    let (id, stored) = (Parse::new(&bytes(id)?).runner()?, bytes(stored)?);
    let mut parse = Parse::new(&stored);
    let (last_heartbeat, lease, retired) = (parse.time()?, parse.duration()?, parse.u48()?);
    Ok(RunnerInfo {
        id,
        last_heartbeat,
        lease,
        retired: retired > 0,
        owned: number(&owned)?,
        description: text(parse.rest())?.into(),
        introduction: optional(introduction)?.map(|stored| unpack(&stored)).transpose()?,
    })
}
