//! The section `web`.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use pynenc_core::config::{ArgumentPrinting, Section, duration};
use pynenc_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// The section `web`: where the API and the monitor are served, and who may use them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebConfig {
    /// The address `HOST:PORT` of the listener. Port 0 stands for any free port.
    pub listen: String,
    /// The path in front of every path, such as `/pynenc` behind a reverse proxy; empty for none.
    pub prefix: String,
    /// Whether operators may submit, cancel, retry, emit events, and pause and fire triggers. Otherwise everything is
    /// read-only.
    pub actions: bool,
    /// How arguments, results and errors are shown.
    pub arguments: ArgumentVisibility,
    /// The file with the users' passwords and tokens; empty for none.
    pub credentials_file: String,
    /// How long a login in a browser lasts.
    #[serde(with = "duration")]
    pub session_lifetime: Duration,
    /// The header in which a reverse proxy names the user that it has authenticated; empty for none.
    pub proxy_user_header: String,
    /// The addresses or networks of the reverse proxies whose headers are believed.
    pub trusted_proxies: Vec<String>,
    /// The users with the role operator, among those that a proxy has authenticated. The others are viewers.
    pub proxy_operators: Vec<String>,
    /// The host names by which browsers reach the listener, beside the address of the listener and, on a loopback address,
    /// `localhost`. Requests for other hosts are refused if nobody has to log in.
    pub hosts: Vec<String>,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8460".into(),
            prefix: String::new(),
            actions: false,
            arguments: ArgumentVisibility::Auto,
            credentials_file: String::new(),
            session_lifetime: Duration::from_secs(12 * 3600),
            proxy_user_header: String::new(),
            trusted_proxies: vec!["127.0.0.1".into(), "::1".into()],
            proxy_operators: Vec::new(),
            hosts: Vec::new(),
        }
    }
}

/// How the arguments of calls, results and error messages are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArgumentVisibility {
    /// As `logging.arguments` says on a loopback address, and hidden on any other address.
    #[default]
    Auto,
    /// Names and values.
    Full,
    /// The beginning of each value.
    Truncated,
    /// Names only.
    Names,
    /// Not at all.
    Hidden,
}

impl ArgumentVisibility {
    /// The rule that applies to a listener.
    pub(crate) fn resolve(self, is_loopback: bool, logged: ArgumentPrinting) -> ArgumentPrinting {
        match self {
            Self::Auto if is_loopback => logged,
            Self::Auto | Self::Hidden => ArgumentPrinting::Hidden,
            Self::Full => ArgumentPrinting::Full,
            Self::Truncated => ArgumentPrinting::Truncated,
            Self::Names => ArgumentPrinting::Names,
        }
    }
}

impl WebConfig {
    /// The networks of the trusted proxies.
    pub(crate) fn proxies(&self) -> Result<Vec<IpNet>> {
        self.trusted_proxies.iter().map(|text| network(text)).collect()
    }

    /// Whether a user has to prove who they are.
    pub(crate) fn has_authentication(&self) -> bool {
        !self.credentials_file.is_empty() || !self.proxy_user_header.is_empty()
    }
}

fn network(text: &str) -> Result<IpNet> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address.or_else(|_| text.parse()).map_err(|_| {
        let message = "the setting `web.trusted_proxies` needs addresses or networks, such as \"10.0.0.0/8\"";
        Error::config(message).with("found", text)
    })
}

impl Section for WebConfig {
    const NAME: &'static str = "web";

    fn validate(&self) -> Result<()> {
        self.proxies()?;
        let is_path = self.prefix.starts_with('/') && !self.prefix.ends_with('/');
        let is_plain = self.prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte));
        let is_prefix = self.prefix.is_empty() || (is_path && is_plain);
        if !is_prefix {
            let message = "the setting `web.prefix` must be a path such as \"/pynenc\": it begins with `/`, doesn't end \
                           with `/`, and has letters, digits and -_.~ only";
            return Err(Error::config(message).with("found", &self.prefix));
        }
        if !self.proxy_user_header.is_empty() && axum::http::HeaderName::try_from(&self.proxy_user_header).is_err() {
            let message =
                "the setting `web.proxy_user_header` must be the name of a header, such as \"X-Forwarded-User\"";
            return Err(Error::config(message).with("found", &self.proxy_user_header));
        }
        if self.session_lifetime.is_zero() {
            return Err(Error::config("the setting `web.session_lifetime` must be longer than zero, such as \"12h\""));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(config: &WebConfig) -> String {
        config.validate().map_or_else(|error| error.to_string(), |()| "accepted".to_owned())
    }

    #[test]
    fn invalid_settings_are_refused_with_their_names() {
        let prefix = |prefix: &str| WebConfig { prefix: prefix.into(), ..WebConfig::default() };
        for found in ["pynenc", "/pynenc/", "/", "/a\"b", "/a b"] {
            assert!(refused(&prefix(found)).contains("`web.prefix`"), "{found}");
        }
        for found in ["", "/pynenc", "/a/b-c_d.e~f"] {
            assert_eq!(refused(&prefix(found)), "accepted", "{found}");
        }
        let proxies = |proxy: &str| WebConfig { trusted_proxies: vec![proxy.into()], ..WebConfig::default() };
        assert!(refused(&proxies("localhost")).contains("`web.trusted_proxies`"));
        for found in ["10.0.0.0/8", "10.1.2.3", "::1", "fd00::/8"] {
            assert_eq!(refused(&proxies(found)), "accepted", "{found}");
        }
        let header = WebConfig { proxy_user_header: "X User".into(), ..WebConfig::default() };
        assert!(refused(&header).contains("`web.proxy_user_header`"));
    }

    #[test]
    fn arguments_are_hidden_by_default_on_an_address_that_others_can_reach() {
        let resolve =
            |visibility: ArgumentVisibility, is_loopback| visibility.resolve(is_loopback, ArgumentPrinting::Names);
        assert_eq!(resolve(ArgumentVisibility::Auto, true), ArgumentPrinting::Names);
        assert_eq!(resolve(ArgumentVisibility::Auto, false), ArgumentPrinting::Hidden);
        assert_eq!(resolve(ArgumentVisibility::Full, false), ArgumentPrinting::Full);
    }
}
