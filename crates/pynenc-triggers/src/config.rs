//! The settings of triggers: the section `triggers`.

use std::time::Duration;

use pynenc_core::config::{Section, duration};
use pynenc_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::schedule::Misfire;
use crate::spec::{ConditionSpec, TriggerSpec};

/// The settings of triggers, in the section `triggers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TriggersConfig {
    /// How long events and the runs of triggers are kept.
    #[serde(with = "duration")]
    pub retention: Duration,
    /// How long a runner has to process an event or a completion, before it is offered to other runners.
    #[serde(with = "duration")]
    pub offer_timeout: Duration,
    /// How long a trigger of the code stays active after the last runner that has it.
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
    /// Checks that the occurrences of a trigger with `all` are kept as long as its misfire policy reaches back.
    pub(crate) fn check(&self, spec: &TriggerSpec) -> pynenc_engine::Result<()> {
        let is_kept = |condition: &ConditionSpec| match condition {
            ConditionSpec::Cron { misfire: Misfire::All(window), .. } => *window <= self.retention,
            ConditionSpec::Cron { .. } | ConditionSpec::Event { .. } | ConditionSpec::Completion { .. } => true,
        };
        if spec.is_simple() || spec.conditions.iter().all(is_kept) {
            return Ok(());
        }
        let message =
            "inside `all`, the window of `Misfire::All` can't be longer than the setting `triggers.retention`";
        Err(pynenc_engine::Error::Config(Error::config(message).with("trigger", spec)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_zero_is_refused() {
        assert!(TriggersConfig::default().validate().is_ok());
        let config = TriggersConfig { offer_timeout: Duration::ZERO, ..TriggersConfig::default() };
        assert!(config.validate().unwrap_err().to_string().contains("`triggers.offer_timeout`"));
    }
}
