//! The cost of one large argument that many tasks share.

use std::time::{Duration, Instant};

use bytes::Bytes;
use pynenc::prelude::*;
use pynenc::{ArgCacheMode, core::serializer};
use pynenc_core::Serializer;

use crate::backend::Backend;
use crate::measurement::Measurement;

const TASKS: usize = 50;
const BYTES: usize = 8_000_000;

#[task]
async fn byte_at(data: Cached<Bytes>, index: usize) -> u8 {
    data[index]
}

/// Incompressible bytes.
fn noise() -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..BYTES).map(|_| next()).collect()
}

struct Traffic {
    sent: f64,
    read: f64,
    time: Duration,
}

/// Measures the traffic of a client and a worker on a server of their own.
async fn traffic(backend: &Backend, mode: ArgCacheMode, data: &Cached<Bytes>) -> Result<Traffic> {
    let app = || backend.builder().tasks(tasks![byte_at]).arg_cache(mode, 1024, 1000).build();
    let (client, worker) = (app().await?, app().await?);
    let runner = worker.start_runner().await?;
    let (before, start) = (backend.traffic(), Instant::now());
    let mut invocations = Vec::with_capacity(TASKS);
    for index in 0..TASKS {
        invocations.push(client.submit(byte_at(data.clone(), index)).await?);
    }
    for invocation in invocations {
        invocation.result().await?;
    }
    let (time, after) = (start.elapsed(), backend.traffic());
    runner.shutdown().await?;
    client.purge().await?;
    let [sent, read] = [0, 1].map(|direction| (after[direction] - before[direction]) / 1e6);
    Ok(Traffic { sent, read, time })
}

/// Fifty tasks share an argument of 8 MB, with and without the argument cache.
pub(crate) async fn shared(backend: &Backend) -> Result<Vec<Measurement>> {
    let data = Cached::new(Bytes::from(noise()));
    let cached = traffic(backend, ArgCacheMode::Redis, &data).await?;
    let disabled = traffic(backend, ArgCacheMode::Disabled, &data).await?;
    let measured = |name, value, unit, target| Measurement { name, value, unit, target };
    Ok(vec![
        measured("to the store", cached.sent, "MB", 8.5),
        measured("from it", cached.read, "MB", 8.5),
        measured("time", cached.time.as_secs_f64(), "s", disabled.time.as_secs_f64()),
        measured("disabled, to the store", disabled.sent, "MB", disabled.sent),
        measured("disabled, from it", disabled.read, "MB", disabled.read),
    ])
}

/// Encodes and decodes 8 MB with both serializers: the size and the times.
pub(crate) fn serialized() -> Result<Vec<Measurement>> {
    let numbers: Vec<f64> = (0..BYTES / 8).map(|n| f64::from(n as u32) / 7.0).collect();
    let bytes = noise();
    let (json, pack) = (serializer::JsonSerializer, serializer::MsgPackSerializer);
    let mut measured = Vec::new();
    measured.extend(costs(["json numbers", "json numbers, write", "json numbers, read"], &json, &numbers)?);
    measured.extend(costs(["pack numbers", "pack numbers, write", "pack numbers, read"], &pack, &numbers)?);
    measured.extend(costs(["json bytes", "json bytes, write", "json bytes, read"], &json, &bytes)?);
    measured.extend(costs(["pack bytes", "pack bytes, write", "pack bytes, read"], &pack, &bytes)?);
    Ok(measured)
}

fn costs<T>(names: [&'static str; 3], serializer: &dyn Serializer, value: &T) -> Result<[Measurement; 3]>
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    use pynenc_core::SerializerExt;
    let start = Instant::now();
    let encoded = serializer.encode(value)?;
    let written = start.elapsed();
    let start = Instant::now();
    serializer.decode_as::<T>(&encoded)?;
    let read = start.elapsed();
    let measured = |name, value, unit| Measurement { name, value, unit, target: value };
    Ok([
        measured(names[0], encoded.len() as f64 / 1e6, "MB"),
        measured(names[1], written.as_secs_f64() * 1e3, "ms"),
        measured(names[2], read.as_secs_f64() * 1e3, "ms"),
    ])
}
