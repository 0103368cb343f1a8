//! Who is alive, who was retired, and who owns what.

use std::time::Duration;

use pynenc_core::orchestrator::{Heartbeat, HeartbeatReply, Introduction, RunnerInfo, Tracked};
use pynenc_core::{InvocationId, Result, RunnerId};
use redis::Value;

use super::{decimal, listing};
use crate::client::{RedisStore, bytes, is_one, list, number, optional};
use crate::codec::{self, Parse, millis, text};
use crate::error::misshapen;
use crate::keys::Key;
use crate::script::Verb;

pub(super) async fn heartbeat(store: &RedisStore, heartbeat: &Heartbeat) -> Result<HeartbeatReply> {
    let Heartbeat { runner, lease, interval, description } = heartbeat;
    let arguments = [
        runner.as_bytes().to_vec(),
        decimal(millis(*lease)),
        decimal(millis(*interval)),
        description.as_bytes().to_vec(),
    ];
    match store.beat(Verb::Heartbeat, &arguments).await? {
        Value::Nil => Ok(HeartbeatReply::Retired),
        reply => {
            let mut values = list(reply)?.into_iter();
            let is_introduced = values.next().as_ref().is_some_and(is_one);
            Ok(HeartbeatReply::Alive { cancel: values.map(id).collect::<Result<_>>()?, is_introduced })
        }
    }
}

/// Over the connection for signs of life, because that is the one its caller has.
pub(super) async fn introduce(store: &RedisStore, runner: RunnerId, introduction: &Introduction) -> Result<()> {
    let arguments = [runner.as_bytes().to_vec(), codec::encoded(introduction)?];
    store.beat(Verb::Introduce, &arguments).await.map(drop)
}

pub(super) async fn owned(store: &RedisStore, runner: RunnerId) -> Result<Vec<Tracked>> {
    let owned = ids(store.send(redis::cmd("SMEMBERS").arg(store.of(Key::Owned, runner.as_bytes()))).await?)?;
    let records = listing::records(store, &owned).await?;
    // What has left between the two reads isn't owned.
    Ok(records.into_iter().flatten().filter(|tracked| tracked.record.owner == Some(runner)).collect())
}

pub(super) async fn list_all(store: &RedisStore) -> Result<Vec<RunnerInfo>> {
    let mut infos = Vec::new();
    for runner in list(store.run(Verb::Runners, &[]).await?)? {
        infos.push(info(list(runner)?)?);
    }
    infos.sort_unstable_by_key(|info| info.id);
    Ok(infos)
}

fn info(values: Vec<Value>) -> Result<RunnerInfo> {
    let [id, kept, owned, introduction] = <[Value; 4]>::try_from(values).map_err(|_| misshapen("a runner"))?;
    let (id, kept) = (Parse::new(&bytes(id)?).runner()?, bytes(kept)?);
    let mut parse = Parse::new(&kept);
    let (last_heartbeat, lease, retired) = (parse.time()?, parse.u48()?, parse.u48()?);
    let description = text(parse.rest())?.into();
    Ok(RunnerInfo {
        id,
        last_heartbeat,
        lease: Duration::from_millis(lease),
        retired: retired > 0,
        owned: number(&owned)?,
        description,
        introduction: optional(introduction)?.map(|kept| codec::decoded(&kept)).transpose()?,
    })
}

pub(super) async fn expired(store: &RedisStore, limit: usize) -> Result<Vec<(RunnerId, Tracked)>> {
    let values = list(store.run(Verb::Expired, &[decimal(limit as u64)]).await?)?;
    let mut values = values.into_iter();
    let mut expired = Vec::new();
    while let Some((runner, entry)) = values.next().zip(values.next()) {
        expired.push((Parse::new(&bytes(runner)?).runner()?, codec::with_id(&bytes(entry)?)?.0));
    }
    Ok(expired)
}

pub(super) async fn lease(store: &RedisStore, service: &str, runner: RunnerId, length: Duration) -> Result<bool> {
    let arguments = [service.as_bytes().to_vec(), runner.as_bytes().to_vec(), decimal(millis(length))];
    Ok(is_one(&store.run(Verb::Lease, &arguments).await?))
}

fn ids(value: Value) -> Result<Vec<InvocationId>> {
    // Servers give sets as lists, or as sets to those who speak the newer protocol.
    let values = match value {
        Value::Set(values) => values,
        value => list(value)?,
    };
    values.into_iter().map(id).collect()
}

fn id(value: Value) -> Result<InvocationId> {
    Parse::new(&bytes(value)?).id()
}
