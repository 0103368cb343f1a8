//! The section `redis` of the configuration: the server's address and timeouts.

use std::fmt;
use std::time::Duration;

use pynenc_core::config::{Config, RunnerConfig, Section, duration};
use pynenc_core::{Error, Result};
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use serde::{Deserialize, Serialize};

/// The reaction to a server that may lose work, at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartCheck {
    /// Log a warning.
    #[default]
    Warn,
    /// Refuse to start.
    Refuse,
    /// Don't check.
    Off,
}

/// The section `redis`: the server's address and timeouts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// The address, such as `redis://user:password@host:6379/0`; empty to use the parts below.
    pub redis_url: String,
    /// The server's host.
    pub redis_host: String,
    /// The server's port.
    pub redis_port: u16,
    /// The number of the database.
    pub redis_db: u16,
    /// The user; empty for the default user.
    pub redis_username: String,
    /// The password; empty for none.
    pub redis_password: String,
    /// A file with the certificates of the authority that signed the server's; empty to trust the public authorities.
    pub redis_tls_ca: String,
    /// The reaction to a server that may lose data: `warn`, `refuse` or `off`.
    pub start_check: StartCheck,
    /// How long opening a connection may take: at most half of `runner.lease`. The default is shortened to that.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    /// How long a reply may take before the connection counts as dead: at most half of `runner.lease`. The default is
    /// shortened to that. A heartbeat may take half of this timeout.
    #[serde(with = "duration")]
    pub response_timeout: Duration,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            redis_url: String::new(),
            redis_host: "localhost".into(),
            redis_port: 6379,
            redis_db: 0,
            redis_username: String::new(),
            redis_password: String::new(),
            redis_tls_ca: String::new(),
            start_check: StartCheck::Warn,
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(5),
        }
    }
}

impl fmt::Debug for RedisConfig {
    /// Shows the address without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address().unwrap_or_else(|_| "an invalid address".to_owned());
        f.debug_struct("RedisConfig")
            .field("address", &address)
            .field("start_check", &self.start_check)
            .finish_non_exhaustive()
    }
}

impl Section for RedisConfig {
    const NAME: &'static str = "redis";
    const SECRETS: &'static [&'static str] = &["redis_url", "redis_password"];

    fn validate(&self) -> Result<()> {
        self.info()?;
        let timeouts =
            [("redis.connect_timeout", self.connect_timeout), ("redis.response_timeout", self.response_timeout)];
        match timeouts.into_iter().find(|(_, timeout)| timeout.is_zero()) {
            Some((key, _)) => Err(Error::config(format!("the setting `{key}` must be longer than zero"))),
            None => Ok(()),
        }
    }
}

impl RedisConfig {
    /// The settings for an address.
    pub fn with_url(url: impl Into<String>) -> Self {
        Self { redis_url: url.into(), ..Self::default() }
    }

    /// The section of an app, with timeouts that are short enough to replace a dead connection before a lease expires.
    ///
    /// # Errors
    ///
    /// A timeout is set, and is longer than half of `runner.lease`.
    pub(crate) fn of(config: &Config) -> Result<Self> {
        let mut section: Self = config.section()?;
        let limit = config.section::<RunnerConfig>()?.lease / 2;
        let timeouts = [
            ("redis.connect_timeout", &mut section.connect_timeout),
            ("redis.response_timeout", &mut section.response_timeout),
        ];
        for (key, timeout) in timeouts {
            if *timeout > limit && config.is_set(key) {
                return Err(Error::config(format!(
                    "the setting `{key}` must be at most half of `runner.lease`: otherwise a runner whose connection \
                     dies loses its work before it notices"
                ))
                .with("longest", duration::text(limit)));
            }
            *timeout = limit.min(*timeout);
        }
        Ok(section)
    }

    /// The address without the password.
    pub(crate) fn address(&self) -> Result<String> {
        let info = self.info()?;
        Ok(format!("redis://{}/{}", info.addr(), info.redis_settings().db()))
    }

    pub(crate) fn info(&self) -> Result<ConnectionInfo> {
        let info = if self.redis_url.is_empty() { self.info_of_parts() } else { self.info_of_url() }?;
        let tcp = info.tcp_settings().clone().set_nodelay(true).set_keepalive(self.keepalive());
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(self.response_timeout);
        Ok(info.set_tcp_settings(tcp))
    }

    /// Lets the operating system close an idle connection whose other end is gone. The unit is the second.
    fn keepalive(&self) -> TcpKeepalive {
        let second = Duration::from_secs(1);
        let (idle, interval) = (self.response_timeout / 2, self.response_timeout / 4);
        TcpKeepalive::new().with_time(idle.max(second)).with_interval(interval.max(second))
    }

    fn info_of_parts(&self) -> Result<ConnectionInfo> {
        let address = ConnectionAddr::Tcp(self.redis_host.clone(), self.redis_port);
        let mut settings = RedisConnectionInfo::default().set_db(self.redis_db.into());
        if !self.redis_username.is_empty() {
            settings = settings.set_username(&self.redis_username);
        }
        if !self.redis_password.is_empty() {
            settings = settings.set_password(&self.redis_password);
        }
        let info = address.into_connection_info().map_err(|_| invalid_address("redis.redis_host"))?;
        Ok(info.set_redis_settings(settings))
    }

    /// The cause is dropped: its text may quote the address with the password.
    fn info_of_url(&self) -> Result<ConnectionInfo> {
        let scheme = self.redis_url.split("://").next().unwrap_or_default();
        if scheme == "rediss" && !cfg!(feature = "tls") {
            return Err(
                Error::config("`rediss://` needs the feature `redis-tls` of pynenc").with("key", "redis.redis_url")
            );
        }
        self.redis_url.as_str().into_connection_info().map_err(|_| invalid_address("redis.redis_url"))
    }
}

fn invalid_address(key: &'static str) -> Error {
    Error::config("not a redis address; the form is `redis://[user[:password]@]host[:port][/db]`").with("key", key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: &RedisConfig, expected: Result<&str, &str>) {
        match (config.address(), expected) {
            (Ok(address), Ok(expected)) => assert_eq!(address, expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn the_address_is_a_url_or_parts() {
        check(&RedisConfig::default(), Ok("redis://localhost:6379/0"));
        let parts = RedisConfig { redis_host: "store".into(), redis_port: 7, redis_db: 3, ..RedisConfig::default() };
        check(&parts, Ok("redis://store:7/3"));
        check(&RedisConfig::with_url("redis://me:secret@store:7/2"), Ok("redis://store:7/2"));
        check(&RedisConfig::with_url("http://store"), Err("key: redis.redis_url"));
        check(&RedisConfig::with_url("redis://store:port"), Err("key: redis.redis_url"));
        #[cfg(not(feature = "tls"))]
        check(&RedisConfig::with_url("rediss://store"), Err("feature `redis-tls`"));
    }

    #[test]
    fn debug_and_errors_show_no_password() {
        for url in ["redis://me:hunter2@store:7/2", "redis://me:hunter2@store:x"] {
            let config = RedisConfig::with_url(url);
            assert!(!format!("{config:?} {:?}", config.info().err()).contains("hunter2"));
        }
    }

    #[test]
    fn a_timeout_of_zero_is_refused() {
        assert!(RedisConfig::default().validate().is_ok());
        let config = RedisConfig { response_timeout: Duration::ZERO, ..RedisConfig::default() };
        assert!(config.validate().unwrap_err().to_string().contains("`redis.response_timeout`"));
    }
}
