//! The errors for a server that can't be reached, refuses the credentials, or may lose work.

use std::sync::Arc;

use pynenc_core::clock::SystemClock;
use pynenc_core::config::Config;
use pynenc_core::{Broker, Component, ComponentContext, Components, ErrorKind, Plugin};
use pynenc_redis::{RedisConfig, RedisOrchestrator, RedisStore, StartCheck};
use pynenc_testkit::{RedisServer, RedisServerOptions};

/// Connects, and checks the kind and the text of the error.
async fn check(config: &RedisConfig, kind: ErrorKind, parts: &[&str]) {
    let error = RedisStore::connect(config, "errors").await.expect_err("connecting fails");
    let text = format!("{error:?}");
    assert_eq!(error.kind(), kind, "{text}");
    parts.iter().for_each(|part| assert!(text.contains(part), "no `{part}` in {text}"));
    assert!(!text.contains("hunter2"), "the error shows a password: {text}");
}

fn at(port: u16) -> RedisConfig {
    RedisConfig { redis_host: "127.0.0.1".into(), redis_port: port, ..RedisConfig::default() }
}

#[tokio::test]
async fn an_invalid_address_names_its_setting() {
    for url in ["localhost:6379", "http://localhost", "redis://me:hunter2@localhost:port"] {
        check(&RedisConfig::with_url(url), ErrorKind::Config, &["redis.redis_url", "redis://[user"]).await;
    }
    let value = [("PYNENC__REDIS__REDIS_URL".to_owned(), "no address".to_owned())];
    let config = Config::loader().without_file().environment(value).load().expect("the section isn't read yet");
    assert!(
        config.section::<RedisConfig>().expect_err("the address is invalid").to_string().contains("redis.redis_url")
    );
}

/// Creates a broker with some settings.
async fn create_broker(values: &[(&str, &str)]) -> pynenc_core::Result<()> {
    let values = values.iter().map(|(key, value)| (format!("PYNENC__{key}"), (*value).to_owned()));
    let config = Config::loader().without_file().environment(values).load()?;
    let mut components = Components::default();
    pynenc_redis::plugin().register(&mut components);
    let context = ComponentContext { config, app_id: "errors".into(), clock: Arc::new(SystemClock) };
    components.make::<dyn Broker>("broker_cls", "RedisBroker", context).await.map(drop)
}

#[tokio::test]
async fn a_timeout_longer_than_half_a_lease_is_refused_and_names_both_settings() {
    let server = RedisServer::start();
    let url = server.url();
    for key in ["CONNECT_TIMEOUT", "RESPONSE_TIMEOUT"] {
        let key = format!("REDIS__{key}");
        let settings = |timeout, lease| [("REDIS__REDIS_URL", &*url), (&*key, timeout), ("RUNNER__LEASE", lease)];
        let error = create_broker(&settings("8s", "15s")).await.expect_err("the timeout is longer than 7.5 s");
        let named = key.to_lowercase().replace("__", ".");
        let text = format!("{error:?}");
        assert!(error.kind() == ErrorKind::Config && text.contains(&named) && text.contains("runner.lease"), "{text}");
        create_broker(&settings("7500ms", "15s")).await.expect("the timeout is half of the lease");
    }
    let short = [("REDIS__REDIS_URL", &*url), ("RUNNER__LEASE", "1s"), ("RUNNER__HEARTBEAT_INTERVAL", "300ms")];
    create_broker(&short).await.expect("the default timeouts are shortened to half of the lease");
}

#[tokio::test]
async fn a_closed_port_is_an_unavailable_store() {
    let port = RedisServer::start().port();
    check(&at(port), ErrorKind::Unavailable, &["can't be reached", "redis.redis_host", &port.to_string()]).await;
}

#[tokio::test]
async fn wrong_credentials_name_their_settings() {
    let password = Some("sesame".to_owned());
    let server = RedisServer::start_with(RedisServerOptions { password, ..RedisServerOptions::default() });
    check(&at(server.port()), ErrorKind::Config, &["redis.redis_password"]).await;
    let wrong = RedisConfig { redis_password: "hunter2".into(), ..at(server.port()) };
    check(&wrong, ErrorKind::Config, &["redis.redis_password"]).await;
    let right = RedisConfig { redis_password: "sesame".into(), ..at(server.port()) };
    RedisStore::connect(&right, "errors").await.expect("the server accepts the password");
    check(&wrong, ErrorKind::Config, &["redis.redis_password"]).await;
    RedisStore::connect(&RedisConfig::with_url(server.url()), "errors").await.expect("the server accepts the password");
}

#[tokio::test]
async fn a_missing_database_names_its_setting() {
    let server = RedisServer::start();
    check(&RedisConfig { redis_db: 99, ..at(server.port()) }, ErrorKind::Config, &["redis.redis_db"]).await;
}

#[tokio::test]
async fn a_server_that_may_lose_work_is_refused_if_the_setting_says_so() {
    let arguments = ["--maxmemory-policy", "allkeys-lru", "--appendonly", "no"].map(str::to_owned).into();
    let server = RedisServer::start_with(RedisServerOptions { arguments, ..RedisServerOptions::default() });
    let strict = RedisConfig { start_check: StartCheck::Refuse, ..at(server.port()) };
    check(&strict, ErrorKind::Config, &["allkeys-lru", "appendonly", "redis.start_check"]).await;
    let lenient = RedisConfig { start_check: StartCheck::Warn, ..strict };
    RedisStore::connect(&lenient, "errors").await.expect("a warning doesn't refuse the server");
}

#[tokio::test]
async fn data_of_another_layout_is_refused_until_it_is_purged() {
    let server = RedisServer::start();
    let config = RedisConfig { start_check: StartCheck::Off, ..RedisConfig::with_url(server.url()) };
    let store = RedisStore::connect(&config, "errors").await.expect("the app has no data yet");
    let own = server.command(&["GET", "{errors}:layout"]);
    server.command(&["SET", "{errors}:layout", "1"]);
    RedisStore::connect(&config, "errors").await.expect("the open store is shared");
    RedisOrchestrator::new(store).purge().await.expect("purge");
    RedisStore::connect(&config, "errors").await.expect("purged data has no layout");
    assert_eq!(server.command(&["GET", "{errors}:layout"]), own);
    server.command(&["SET", "{errors}:layout", "1"]);
    check(&config, ErrorKind::Config, &["another version", "app_id", "layout: 1"]).await;
    RedisStore::connect(&config, "other").await.expect("another app has data of its own");
}
