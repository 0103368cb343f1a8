//! The settings of the broker: the section `[file_broker]`.

use std::path::PathBuf;

use pynenc_core::config::Section;
use pynenc_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// The settings of the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileBrokerConfig {
    /// The directory of the hints. Only one process at a time may use it.
    pub directory: PathBuf,
}

impl Default for FileBrokerConfig {
    fn default() -> Self {
        Self { directory: "pynenc-hints".into() }
    }
}

impl Section for FileBrokerConfig {
    const NAME: &'static str = "file_broker";

    fn validate(&self) -> Result<()> {
        if self.directory.as_os_str().is_empty() {
            return Err(Error::config("the setting `file_broker.directory` must name a directory"));
        }
        Ok(())
    }
}
