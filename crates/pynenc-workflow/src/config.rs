//! The settings of workflows: the section `workflow`.

use std::time::Duration;

use pynenc_core::config::{Section, duration};
use pynenc_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// The settings of workflows, in the section `workflow`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkflowConfig {
    /// How long a run only sleeps or waits for events before it is suspended.
    #[serde(with = "duration")]
    pub put_aside_after: Duration,
    /// The largest number of operations in a journal.
    pub max_steps: usize,
    /// The largest size of a recorded value, in bytes.
    pub max_value_size: usize,
    /// How long a runner has to resume a workflow or to cancel its children, before the work is offered to other
    /// runners.
    #[serde(with = "duration")]
    pub offer_timeout: Duration,
}

impl Default for WorkflowConfig {
    fn default() -> Self {
        Self {
            put_aside_after: Duration::from_secs(1),
            max_steps: 10_000,
            max_value_size: 1024 * 1024,
            offer_timeout: Duration::from_secs(5),
        }
    }
}

impl Section for WorkflowConfig {
    const NAME: &'static str = "workflow";

    fn validate(&self) -> Result<()> {
        let is_zero = [
            ("workflow.put_aside_after", self.put_aside_after.is_zero()),
            ("workflow.max_steps", self.max_steps == 0),
            ("workflow.max_value_size", self.max_value_size == 0),
            ("workflow.offer_timeout", self.offer_timeout.is_zero()),
        ];
        match is_zero.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((key, _)) => Err(Error::config(format!("the setting `{key}` must be greater than zero"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_zero_is_refused() {
        assert!(WorkflowConfig::default().validate().is_ok());
        let config = WorkflowConfig { max_steps: 0, ..WorkflowConfig::default() };
        assert!(config.validate().is_err_and(|error| error.to_string().contains("`workflow.max_steps`")));
    }
}
