//! The section `metrics`.

use pynenc_core::config::Section;
use pynenc_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// The section `metrics`: whether metrics are recorded, and where they can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// The address `HOST:PORT` at which a process with a runner answers `/metrics`, `/livez` and `/readyz`; empty for no
    /// listener. Port 0 stands for any free port. Worker process number `i` of a `ProcessRunner`, from 0, uses the port
    /// plus `i`.
    pub listen: String,
    /// Whether metrics are recorded without a listener, for a web server of the program.
    pub record: bool,
}

impl MetricsConfig {
    /// Whether metrics are recorded.
    pub(crate) fn is_on(&self) -> bool {
        self.record || !self.listen.is_empty()
    }

    /// The host and the port of the listener of worker process number `worker`; `None` for no listener.
    pub(crate) fn address(&self, worker: usize) -> Result<Option<(&str, u16)>> {
        if self.listen.is_empty() {
            return Ok(None);
        }
        let invalid = || {
            let error = Error::config("the setting `metrics.listen` must be HOST:PORT, such as \"0.0.0.0:9464\"");
            error.with("found", &self.listen)
        };
        let (host, port) = self.listen.rsplit_once(':').ok_or_else(invalid)?;
        let port: u16 = port.parse().map_err(|_| invalid())?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return Err(invalid());
        }
        let port = if port == 0 { Some(0) } else { u16::try_from(worker).ok().and_then(|it| port.checked_add(it)) };
        let too_large =
            || Error::config("the port of `metrics.listen`, plus the number of worker processes, exceeds 65535");
        Ok(Some((host, port.ok_or_else(too_large)?)))
    }
}

impl Section for MetricsConfig {
    const NAME: &'static str = "metrics";

    fn validate(&self) -> Result<()> {
        self.address(0).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(address: &str) -> MetricsConfig {
        MetricsConfig { listen: address.into(), record: false }
    }

    #[test]
    fn worker_processes_have_consecutive_ports() {
        let at =
            |address, worker| listen(address).address(worker).unwrap().map(|(host, port)| format!("{host} {port}"));
        assert_eq!(at("0.0.0.0:9464", 0).unwrap(), "0.0.0.0 9464");
        assert_eq!(at("localhost:9464", 3).unwrap(), "localhost 9467");
        assert_eq!(at("[::1]:0", 3).unwrap(), "::1 0");
        assert_eq!(at("", 3), None);
        assert!(listen("0.0.0.0:65535").address(1).is_err());
    }

    #[test]
    fn an_invalid_address_is_refused() {
        for refused in ["9464", ":9464", "localhost", "localhost:http", "localhost:65536"] {
            let error = listen(refused).validate().unwrap_err().to_string();
            assert!(error.contains("`metrics.listen`") && error.contains(refused), "{error}");
        }
    }
}
