//! The names and addresses of sockets.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use pynenc_kv::Topic;

use crate::sql::AppKeys;

/// The longest path that every system accepts as the address of a socket.
const LONGEST: usize = 100;

/// The notices that a socket receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) app: AppKeys,
    pub(super) topic: Topic,
}

impl Subject {
    /// The beginning of the names of its sockets.
    pub(super) fn prefix(self) -> String {
        let topic = match self.topic {
            Topic::Hints => "hints",
            Topic::Completions => "completions",
            Topic::Signals => "signals",
            Topic::Triggers => "triggers",
        };
        format!("{}-{topic}", self.app.number())
    }
}

/// The address of a socket.
pub(super) struct Address {
    pub(super) path: PathBuf,
    /// Keeps a short path valid.
    _folder: Option<File>,
}

impl Address {
    /// On Linux, a folder with a long path has a short path by its descriptor.
    pub(super) fn of(folder: &Path, name: &str) -> io::Result<Self> {
        let path = folder.join(name);
        if path.as_os_str().len() <= LONGEST || !cfg!(target_os = "linux") {
            return Ok(Self { path, _folder: None });
        }
        let folder = File::open(folder)?;
        let path = format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()).into();
        Ok(Self { path, _folder: Some(folder) })
    }
}
