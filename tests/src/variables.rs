//! The environment variables of apps on Redis and on SQLite.

use std::collections::BTreeMap;

/// The variables of an app on a Redis server, with additional settings such as `("RUNNER__LEASE", "2s")`.
pub fn on_redis(app_id: &str, url: &str, settings: &[(&str, &str)]) -> BTreeMap<String, String> {
    let app = [
        ("APP_ID", app_id),
        ("BROKER_CLS", "RedisBroker"),
        ("ORCHESTRATOR_CLS", "RedisOrchestrator"),
        ("STATE_BACKEND_CLS", "RedisStateBackend"),
        ("TRIGGER_STORE_CLS", "RedisTriggerStore"),
        ("REDIS__REDIS_URL", url),
    ];
    app.iter().chain(settings).map(|(key, value)| (format!("PYNENC__{key}"), (*value).to_owned())).collect()
}

/// The variables of an app on a SQLite file, with additional settings.
pub fn on_sqlite(app_id: &str, path: &str, settings: &[(&str, &str)]) -> BTreeMap<String, String> {
    let app = [
        ("APP_ID", app_id),
        ("BROKER_CLS", "SqliteBroker"),
        ("ORCHESTRATOR_CLS", "SqliteOrchestrator"),
        ("STATE_BACKEND_CLS", "SqliteStateBackend"),
        ("TRIGGER_STORE_CLS", "SqliteTriggerStore"),
        ("ARG_CACHE_CLS", "SqliteArgCache"),
        ("SQLITE__PATH", path),
    ];
    app.iter().chain(settings).map(|(key, value)| (format!("PYNENC__{key}"), (*value).to_owned())).collect()
}
