//! The section `sqlite` of the configuration: the file and its durability.

use pynenc_core::config::Section;
use serde::{Deserialize, Serialize};

/// The time at which a commit is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Synchronous {
    /// Before the reply. A power cut loses nothing that was acknowledged.
    #[default]
    Full,
    /// At the next checkpoint. A killed process loses nothing, but a power cut may lose the last commits.
    Normal,
}

/// Says whether pynenc moves the write-ahead log into the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Checkpoint {
    /// When the log has grown, and when the file is idle.
    #[default]
    Auto,
    /// Never: another program does it, such as Litestream.
    Off,
}

/// The section `sqlite`: the file and its durability.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SqliteConfig {
    /// The database file. It is created if it doesn't exist; its folder must exist.
    pub path: String,
    /// `full` or `normal`: whether a reply waits until the commit is on the disk.
    pub synchronous: Synchronous,
    /// `auto` or `off`: whether pynenc runs checkpoints.
    pub checkpoint: Checkpoint,
}

impl Section for SqliteConfig {
    const NAME: &'static str = "sqlite";
}

impl SqliteConfig {
    /// The settings for a file.
    pub fn with_path(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }
}
