//! The backends of the benchmarks: memory, a private Redis server, or a SQLite file.

use std::ops::{Add, Div, Sub};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pynenc::PynencBuilder;
use pynenc::prelude::*;
use pynenc_testkit::{RedisServer, RedisServerOptions};
use tempfile::TempDir;

use crate::bare_sqlite::BareSqlite;
use crate::tasks;

/// The name of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BackendKind {
    Memory,
    Redis,
    /// Commits don't wait for the disk.
    Sqlite,
    /// Each commit waits for the disk.
    SqliteFull,
}

impl BackendKind {
    pub(crate) const ALL: [Self; 4] = [Self::Memory, Self::Redis, Self::Sqlite, Self::SqliteFull];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Sqlite => "sqlite",
            Self::SqliteFull => "sqlite-full",
        }
    }

    /// Starts the backend.
    pub(crate) fn start(self) -> Backend {
        match self {
            Self::Memory => Backend::Memory,
            Self::Redis => Backend::redis(),
            Self::Sqlite => Backend::sqlite(self, "normal"),
            Self::SqliteFull => Backend::sqlite(self, "full"),
        }
    }
}

/// A backend under measurement.
#[derive(Debug)]
pub(crate) enum Backend {
    /// The stores in the memory of this process.
    Memory,
    /// A loopback server without persistence, and its measured best speed.
    Redis(Box<RedisServer>, Reference),
    /// Files in a folder, a new one for each app, and the measured speed of bare statements.
    Sqlite(SqliteFiles, BareSqlite),
}

/// The files of SQLite apps.
#[derive(Debug)]
pub(crate) struct SqliteFiles {
    kind: BackendKind,
    synchronous: &'static str,
    folder: TempDir,
    count: AtomicUsize,
}

impl SqliteFiles {
    /// The file of the last app.
    fn path(&self) -> PathBuf {
        self.folder.path().join(format!("{}.db", self.count.load(Ordering::Relaxed)))
    }

    /// The bytes of the file that are in use.
    fn bytes(&self) -> rusqlite::Result<f64> {
        let file = rusqlite::Connection::open(self.path())?;
        let number = |pragma: &str| file.pragma_query_value(None, pragma, |row| row.get::<_, f64>(0));
        Ok((number("page_count")? - number("freelist_count")?) * number("page_size")?)
    }
}

/// A server's best speed, measured beside the benchmarks because machines are shared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reference {
    /// `SET` commands per second over one connection, each after the reply to the last.
    pub(crate) round_trips: f64,
    /// Raw registrations per second: a script writes 100 of them per call.
    pub(crate) batched: f64,
}

impl Backend {
    fn redis() -> Self {
        let arguments = ["--appendonly", "no"].map(str::to_owned).into();
        let server = RedisServer::start_with(RedisServerOptions { arguments, ..RedisServerOptions::default() });
        let reference = Reference::of(&server).expect("a loopback server answers");
        server.command(&["FLUSHALL"]);
        Self::Redis(Box::new(server), reference)
    }

    fn sqlite(kind: BackendKind, synchronous: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be created");
        let bare = BareSqlite::measure(&folder.path().join("bare.db"), synchronous).expect("SQLite runs statements");
        Self::Sqlite(SqliteFiles { kind, synchronous, folder, count: AtomicUsize::new(0) }, bare)
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Memory => BackendKind::Memory.name(),
            Self::Redis(..) => BackendKind::Redis.name(),
            Self::Sqlite(files, _) => files.kind.name(),
        }
    }

    /// Builds an app with the tasks of the benchmarks.
    pub(crate) async fn app(&self) -> Result<Pynenc> {
        self.builder().tasks(tasks::all()).build().await
    }

    /// Creates a builder without tasks. A server is emptied first.
    pub(crate) fn builder(&self) -> PynencBuilder {
        match self {
            Self::Memory => own_settings().memory(),
            Self::Redis(..) => builder_on(&self.empty_store()),
            Self::Sqlite(files, _) => {
                own_settings().sqlite(self.empty_store()).set("sqlite.synchronous", files.synchronous)
            }
        }
    }

    /// The address of an emptied server, or the path of a new file. Stores in memory have no address.
    pub(crate) fn empty_store(&self) -> String {
        match self {
            Self::Memory => String::new(),
            Self::Redis(server, _) => {
                server.command(&["FLUSHALL"]);
                server.url()
            }
            Self::Sqlite(files, _) => {
                files.count.fetch_add(1, Ordering::Relaxed);
                files.path().to_string_lossy().into_owned()
            }
        }
    }

    /// The server's counters.
    pub(crate) fn counters(&self) -> Option<Counters> {
        match self {
            Self::Redis(server, _) => Some(Counters::of(server)),
            Self::Memory | Self::Sqlite(..) => None,
        }
    }

    /// The commands in one second of idling, measured over ten seconds: those of clients, and those with the ones inside
    /// of scripts.
    pub(crate) async fn idle_commands(&self) -> [f64; 2] {
        const LENGTH: Duration = Duration::from_secs(10);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let commands = || self.counters().map_or([0.0; 2], |counters| [counters.commands, counters.all_commands]);
        let before = commands();
        tokio::time::sleep(LENGTH).await;
        let after = commands();
        [0, 1].map(|which| (after[which] - before[which]) / LENGTH.as_secs_f64())
    }

    /// The bytes that the store uses, in the server's memory or in its file.
    pub(crate) fn stored_bytes(&self) -> f64 {
        match self {
            Self::Redis(server, _) => Counters::of(server).memory,
            Self::Sqlite(files, _) => files.bytes().unwrap_or(f64::NAN),
            Self::Memory => 0.0,
        }
    }

    /// The server's work since its start.
    pub(crate) fn work(&self) -> Work {
        match self {
            Self::Redis(server, _) => Work::of(server),
            Self::Memory | Self::Sqlite(..) => Work::default(),
        }
    }

    /// The number of bytes that the server has received and sent.
    pub(crate) fn traffic(&self) -> [f64; 2] {
        let Self::Redis(server, _) = self else { return [0.0; 2] };
        let report = server.command(&["INFO", "stats"]);
        ["total_net_input_bytes:", "total_net_output_bytes:"].map(|name| number(&report, name))
    }

    /// The target for this backend: a fixed number in memory, or a function of the measured best speed.
    pub(crate) fn target(
        &self,
        memory: f64,
        redis: impl FnOnce(Reference) -> f64,
        sqlite: impl FnOnce(BareSqlite) -> f64,
    ) -> f64 {
        match self {
            Self::Memory => memory,
            Self::Redis(_, reference) => redis(*reference),
            Self::Sqlite(_, bare) => sqlite(*bare),
        }
    }
}

/// Creates a builder for a server, without emptying it.
pub(crate) fn builder_on(server: &str) -> PynencBuilder {
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

/// The duration of a reference measurement.
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

/// Counters of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counters {
    /// Commands that clients sent. Commands inside of scripts don't count.
    pub(crate) commands: f64,
    /// Commands of clients and inside of scripts, without the ones that read these counters.
    pub(crate) all_commands: f64,
    /// Bytes in memory.
    pub(crate) memory: f64,
}

/// Commands that clients send and scripts don't call.
const SENT: [&str; 10] =
    ["fcall", "evalsha", "eval", "blpop", "ping", "unwatch", "subscribe", "unsubscribe", "hello", "script|load"];

impl Counters {
    pub(crate) fn of(server: &RedisServer) -> Self {
        let commands = server.command(&["INFO", "commandstats"]);
        let calls = |name: &str| number(&commands, &format!("cmdstat_{name}:calls="));
        let memory = number(&server.command(&["INFO", "memory"]), "used_memory:");
        Self { commands: SENT.iter().map(|name| calls(name)).sum(), all_commands: all_calls(&commands), memory }
    }
}

/// The calls of all commands in a report, without the `INFO` that made the report.
fn all_calls(report: &str) -> f64 {
    let commands = report.lines().filter_map(|line| line.strip_prefix("cmdstat_"));
    let counted = commands.filter(|line| !line.starts_with("info:"));
    counted.filter_map(|line| line.split_once(":calls=")).map(|(_, rest)| first_number(rest)).sum()
}

/// The number after a word of a report, or 0.
fn number(report: &str, word: &str) -> f64 {
    report.lines().find_map(|line| line.strip_prefix(word)).map_or(0.0, first_number)
}

fn first_number(text: &str) -> f64 {
    text.split([',', '\r']).next().and_then(|text| text.trim().parse().ok()).unwrap_or(0.0)
}

/// A server's work, in microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Work {
    /// CPU time.
    pub(crate) cpu: f64,
    /// Time in scripts and functions, with their commands.
    pub(crate) scripts: f64,
}

impl Work {
    fn of(server: &RedisServer) -> Self {
        let (cpu, commands) = (server.command(&["INFO", "cpu"]), server.command(&["INFO", "commandstats"]));
        Self { cpu: cpu_micros(&cpu), scripts: script_micros(&commands) }
    }
}

fn cpu_micros(report: &str) -> f64 {
    ["used_cpu_user:", "used_cpu_sys:"].map(|name| number(report, name)).iter().sum::<f64>() * 1e6
}

fn script_micros(report: &str) -> f64 {
    let of = |name: &str| {
        let line = report.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:")));
        line.and_then(|line| line.split_once("usec=")).map_or(0.0, |(_, rest)| first_number(rest))
    };
    ["fcall", "evalsha", "eval"].map(of).iter().sum()
}

impl Add for Work {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, scripts: self.scripts + other.scripts }
    }
}

impl Sub for Work {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { cpu: self.cpu - other.cpu, scripts: self.scripts - other.scripts }
    }
}

impl Div<f64> for Work {
    type Output = Self;

    fn div(self, count: f64) -> Self {
        Self { cpu: self.cpu / count, scripts: self.scripts / count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMANDS: &str = "# Commandstats\r\n\
        cmdstat_fcall:calls=3,usec=120,usec_per_call=40.00,rejected_calls=0,failed_calls=0\r\n\
        cmdstat_get:calls=4,usec=8,usec_per_call=2.00,rejected_calls=0,failed_calls=0\r\n\
        cmdstat_script|load:calls=2,usec=5,usec_per_call=2.50,rejected_calls=0,failed_calls=0\r\n\
        cmdstat_evalsha:calls=1,usec=30,usec_per_call=30.00,rejected_calls=0,failed_calls=0\r\n\
        cmdstat_info:calls=9,usec=900,usec_per_call=100.00,rejected_calls=0,failed_calls=0\r\n";

    #[test]
    fn all_commands_but_the_reports_are_counted() {
        assert_eq!(all_calls(COMMANDS) as u64, 10);
    }

    #[test]
    fn script_time_is_that_of_functions_and_scripts() {
        assert_eq!(script_micros(COMMANDS) as u64, 150);
    }

    #[test]
    fn cpu_time_is_that_of_user_and_system() {
        let report = "used_cpu_sys:0.250000\r\nused_cpu_user:1.500000\r\nused_cpu_sys_children:7.0\r\n";
        assert_eq!(cpu_micros(report) as u64, 1_750_000);
    }
}
