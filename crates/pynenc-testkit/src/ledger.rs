//! What bodies did, written down outside of every store.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file to which bodies append what they do, a line each. A line is in the file, whatever becomes of the process.
#[derive(Debug, Clone)]
pub struct Ledger(PathBuf);

impl Ledger {
    /// The ledger of a file, which needn't exist yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Appends a line.
    ///
    /// # Errors
    ///
    /// The file can't be written to.
    pub fn write(&self, line: &str) -> io::Result<()> {
        let mut file: File = OpenOptions::new().create(true).append(true).open(&self.0)?;
        // In one call, so that the lines of several processes don't mix.
        file.write_all(format!("{line}\n").as_bytes())
    }

    /// Every line so far.
    pub fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How many lines begin with these words.
    pub fn count(&self, start: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(start)).count()
    }

    /// Waits until as many lines begin with these words.
    ///
    /// # Panics
    ///
    /// A minute is over.
    pub async fn reaches(&self, count: usize, start: &str) {
        let waited = async {
            while self.count(start) < count {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let in_time = tokio::time::timeout(std::time::Duration::from_secs(60), waited).await;
        assert!(in_time.is_ok(), "{count} lines of {start:?} were waited for, and there are {:#?}", self.lines());
    }
}
