//! Where a figure is measured: in memory, or on a Redis server of its own.

use std::time::{Duration, Instant};

use pynenc::PynencBuilder;
use pynenc::prelude::*;
use pynenc_testkit::{RedisServer, RedisServerOptions};

use crate::figures;

/// A place to measure in.
#[derive(Debug)]
pub(crate) enum Place {
    /// The memory of this process.
    Memory,
    /// A server on the loopback that writes nothing to a disk, and what it could do at best a moment ago.
    Redis(RedisServer, Reference),
}

/// What a server does at best, measured beside the figures: machines are shared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reference {
    /// `SET` a second over one connection, each behind the reply to the last: R1.
    pub(crate) round_trips: f64,
    /// Registrations a second, as far as writing them goes: a script that writes 100 of them a call.
    pub(crate) batched: f64,
}

impl Place {
    pub(crate) fn redis() -> Self {
        let arguments = ["--appendonly", "no"].map(str::to_owned).into();
        let server = RedisServer::start_with(RedisServerOptions { arguments, ..RedisServerOptions::default() });
        let reference = Reference::of(&server).expect("a server on the loopback answers");
        server.command(&["FLUSHALL"]);
        Self::Redis(server, reference)
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis(..) => "redis",
        }
    }

    /// An app of this place with the tasks of the figures.
    pub(crate) async fn app(&self) -> Result<Pynenc> {
        self.builder().tasks(figures::tasks()).build().await
    }

    /// An app of this place without a task; on a server it begins with nothing in it.
    pub(crate) fn builder(&self) -> PynencBuilder {
        match self {
            Self::Memory => own_settings().memory(),
            Self::Redis(server, _) => {
                server.command(&["FLUSHALL"]);
                app_on(&server.url())
            }
        }
    }

    /// What its server has counted so far.
    pub(crate) fn counters(&self) -> Option<Counters> {
        match self {
            Self::Memory => None,
            Self::Redis(server, _) => Some(Counters::of(server)),
        }
    }

    /// The bytes that its server has got and given so far.
    pub(crate) fn traffic(&self) -> [f64; 2] {
        let Self::Redis(server, _) = self else { return [0.0; 2] };
        let report = server.command(&["INFO", "stats"]);
        ["total_net_input_bytes:", "total_net_output_bytes:"].map(|name| number(&report, name))
    }

    /// The target in this place: a number in memory, one that follows the reference on a server.
    pub(crate) fn target(&self, memory: f64, redis: impl FnOnce(Reference) -> f64) -> f64 {
        match self {
            Self::Memory => memory,
            Self::Redis(_, reference) => redis(*reference),
        }
    }
}

/// An app on a server, as it is.
pub(crate) fn app_on(server: &str) -> PynencBuilder {
    own_settings().redis(server).set("redis.start_check", "off")
}

fn own_settings() -> PynencBuilder {
    Pynenc::builder().without_config_file().environment([]).without_linked_tasks()
}

impl Reference {
    fn of(server: &RedisServer) -> redis::RedisResult<Self> {
        let mut connection = redis::Client::open(server.url())?.get_connection()?;
        Ok(Self { round_trips: round_trips(&mut connection)?, batched: batched(&mut connection)? })
    }
}

/// How long a reference is measured.
const LENGTH: Duration = Duration::from_millis(500);

fn round_trips(connection: &mut redis::Connection) -> redis::RedisResult<f64> {
    let (start, mut count) = (Instant::now(), 0_u32);
    while start.elapsed() < LENGTH {
        for _ in 0..100 {
            redis::cmd("SET").arg("reference").arg(count).exec(connection)?;
            count += 1;
        }
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

fn batched(connection: &mut redis::Connection) -> redis::RedisResult<f64> {
    let script = redis::Script::new(
        "for n = 1, 100 do
           local id = ARGV[1] .. n
           redis.call('SET', '{r}e' .. id, ARGV[2])
           redis.call('SET', '{r}r' .. id, ARGV[2])
           redis.call('ZADD', KEYS[1], n, id)
         end",
    );
    let (start, mut count) = (Instant::now(), 0_u32);
    while start.elapsed() < LENGTH {
        script.key("{r}queue").arg(count).arg("x".repeat(200)).invoke::<()>(connection)?;
        count += 100;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// What a server counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counters {
    /// Commands that clients have sent; what scripts call isn't among them.
    pub(crate) commands: f64,
    /// Bytes in memory.
    pub(crate) memory: f64,
}

/// Commands that a client sends and no script calls.
const SENT: [&str; 10] =
    ["fcall", "evalsha", "eval", "blpop", "ping", "unwatch", "subscribe", "unsubscribe", "hello", "script|load"];

impl Counters {
    pub(crate) fn of(server: &RedisServer) -> Self {
        let commands = server.command(&["INFO", "commandstats"]);
        let calls = |name: &str| number(&commands, &format!("cmdstat_{name}:calls="));
        let memory = number(&server.command(&["INFO", "memory"]), "used_memory:");
        Self { commands: SENT.iter().map(|name| calls(name)).sum(), memory }
    }
}

/// The number behind a word of a report, or nothing.
fn number(report: &str, word: &str) -> f64 {
    let rest = report.lines().find_map(|line| line.strip_prefix(word)).unwrap_or_default();
    rest.split([',', '\r']).next().and_then(|text| text.trim().parse().ok()).unwrap_or(0.0)
}
