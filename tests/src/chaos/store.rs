//! The store under test: a Redis server or a SQLite file.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pynenc::prelude::*;
use pynenc_redis::{RedisConfig, RedisStore, StartCheck};
use pynenc_testkit::{Proxy, RedisServer};

use super::fault::{FILE, FaultKind, Faults, SERVER};
use super::plan::StoreKind;
use super::sqlite_file::SqliteFile;
use crate::variables::{on_redis, on_sqlite};

/// A store with faults.
pub(super) enum Store {
    Redis(RedisServer),
    Sqlite(SqliteFile),
}

impl Store {
    /// Starts an empty store.
    pub(super) fn start(kind: StoreKind, folder: &Path) -> Self {
        match kind {
            StoreKind::Redis => Self::Redis(RedisServer::start()),
            StoreKind::Sqlite => Self::Sqlite(SqliteFile::in_folder(folder)),
        }
    }

    /// A link to the store that can fail, if there is a network.
    pub(super) fn link(&self) -> Option<Proxy> {
        match self {
            Self::Redis(server) => Some(Proxy::in_front_of(server)),
            Self::Sqlite(_) => None,
        }
    }

    /// The variables of a process that uses the store, through a link if it has one.
    pub(super) fn variables(
        &self,
        app_id: &str,
        link: Option<&Proxy>,
        settings: &[(&str, &str)],
    ) -> BTreeMap<String, String> {
        match self {
            Self::Redis(server) => {
                let url = link.map_or_else(|| server.url(), |link| link.url().to_owned());
                on_redis(app_id, &url, &[settings, &[("REDIS__START_CHECK", "off")]].concat())
            }
            Self::Sqlite(file) => on_sqlite(app_id, file.path().to_str().expect("the path is UTF-8"), settings),
        }
    }

    /// The faults of the store and its processes.
    pub(super) fn faults(&self) -> &'static Faults {
        match self {
            Self::Redis(_) => &SERVER,
            Self::Sqlite(_) => &FILE,
        }
    }

    pub(super) fn disturb(&mut self, kind: FaultKind) {
        match self {
            Self::Redis(server) => match kind {
                FaultKind::Kill => server.kill9(),
                FaultKind::Stop => server.pause(),
                FaultKind::CutEveryConnection => server.kill_clients(),
                FaultKind::ForgetScripts => server.script_flush(),
                FaultKind::PauseClients => server.client_pause(millis(1000)),
                FaultKind::Fill => server.config_set("maxmemory", "1mb"),
                _ => server.function_flush(),
            },
            Self::Sqlite(file) => file.disturb(kind),
        }
    }

    pub(super) fn repair(&mut self, kind: FaultKind) {
        match (self, kind) {
            (Self::Redis(server), FaultKind::Kill) => server.restart(),
            (Self::Redis(server), FaultKind::Stop) => server.resume(),
            (Self::Redis(server), FaultKind::Fill) => server.config_set("maxmemory", "0"),
            (Self::Redis(_), _) => {}
            (Self::Sqlite(file), _) => file.repair(),
        }
    }

    /// Moves the time of the store ahead.
    pub(super) async fn advance(&self, app_id: &str, by: Duration) -> Result<()> {
        match self {
            Self::Redis(server) => {
                let config = RedisConfig { start_check: StartCheck::Off, ..RedisConfig::with_url(server.url()) };
                let store = RedisStore::connect(&config, app_id).await.map_err(Error::other)?;
                store.advance(by).await.map_err(Error::other)
            }
            Self::Sqlite(file) => file.advance(by).map_err(Error::other),
        }
    }

    /// All keys of an app with their values.
    pub(super) fn entries(&self, app_id: &str) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        match self {
            Self::Redis(server) => Ok(server.entries(app_id)),
            Self::Sqlite(file) => file.entries().map_err(Error::other),
        }
    }

    /// The word for an entry.
    pub(super) fn entries_name(&self) -> &'static str {
        match self {
            Self::Redis(_) => "keys",
            Self::Sqlite(_) => "rows",
        }
    }

    /// The number of entries.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Redis(server) => server.command(&["DBSIZE"]).trim().parse().unwrap_or_default(),
            Self::Sqlite(file) => file.entries().map_or(0, |entries| entries.len() as u64),
        }
    }

    /// The bytes that the store occupies in memory or on the disk.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Redis(server) => {
                let report = server.command(&["INFO", "memory"]);
                let used = report.lines().find_map(|line| line.strip_prefix("used_memory:"));
                used.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or_default()
            }
            Self::Sqlite(file) => file.bytes(),
        }
    }
}
