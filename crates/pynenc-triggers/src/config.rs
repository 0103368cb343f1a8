//! How triggers are kept: the section `triggers`.

use std::time::Duration;

use pynenc_core::config::{Section, duration};
use pynenc_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::schedule::Misfire;
use crate::spec::{Leaf, Spec};

/// How triggers are kept, in the section `triggers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TriggersConfig {
    /// How long events and runs are kept.
    #[serde(with = "duration")]
    pub retention: Duration,
    /// How long a runner has for what it took, before it is offered to others.
    #[serde(with = "duration")]
    pub offer_timeout: Duration,
    /// How long a trigger of the code lives on when no runner that has it does.
    #[serde(with = "duration")]
    pub definition_life: Duration,
}

impl Default for TriggersConfig {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(24 * 3600),
            offer_timeout: Duration::from_secs(5),
            definition_life: Duration::from_secs(60),
        }
    }
}

impl Section for TriggersConfig {
    const NAME: &'static str = "triggers";

    fn validate(&self) -> Result<()> {
        let settings = [
            ("triggers.retention", self.retention),
            ("triggers.offer_timeout", self.offer_timeout),
            ("triggers.definition_life", self.definition_life),
        ];
        match settings.into_iter().find(|(_, length)| length.is_zero()) {
            Some((key, _)) => Err(Error::config(format!("the setting `{key}` must be longer than zero"))),
            None => Ok(()),
        }
    }
}

impl TriggersConfig {
    /// Checks that what a trigger has to remember is kept as long.
    pub(crate) fn check(&self, spec: &Spec) -> pynenc_engine::Result<()> {
        let remembers = |leaf: &Leaf| match leaf {
            Leaf::Cron { misfire: Misfire::All(window), .. } => *window <= self.retention,
            Leaf::Cron { .. } | Leaf::Event { .. } | Leaf::Ended { .. } => true,
        };
        if spec.is_simple() || spec.conditions.iter().all(remembers) {
            return Ok(());
        }
        let message = "inside `all`, missed slots are made up for within the setting `triggers.retention` at most";
        Err(pynenc_engine::Error::Config(Error::config(message).with("trigger", spec)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_length_is_zero() {
        assert!(TriggersConfig::default().validate().is_ok());
        let config = TriggersConfig { offer_timeout: Duration::ZERO, ..TriggersConfig::default() };
        assert!(config.validate().unwrap_err().to_string().contains("`triggers.offer_timeout`"));
    }
}
