//! What bodies and clients did, written down outside of every store.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pynenc_core::clock::SystemClock;
use pynenc_core::{Clock, InvocationId, Timestamp};
use pynenc_engine::TaskContext;

/// A file to which bodies append what they do, a line each. A line is in the file, whatever becomes of the process.
#[derive(Debug, Clone)]
pub struct Ledger(PathBuf);

/// What a body wrote down of its own run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it did, such as `begin` or `end`.
    pub what: String,
    /// To what.
    pub name: String,
    /// The process that it ran in.
    pub process: u32,
    /// Its attempt.
    pub attempt: u32,
    /// Its invocation.
    pub invocation: InvocationId,
    /// The epoch of the claim that it ran under.
    pub epoch: u64,
    /// When, by the machine's clock.
    pub at: Timestamp,
}

impl Note {
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let [what, name, process, attempt, invocation, epoch, at] = words[..] else { return None };
        Some(Self {
            what: what.to_owned(),
            name: name.to_owned(),
            process: process.parse().ok()?,
            attempt: attempt.parse().ok()?,
            invocation: invocation.parse().ok()?,
            epoch: epoch.parse().ok()?,
            at: Timestamp::from_millis(at.parse().ok()?),
        })
    }
}

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

    /// Writes down what a body does to what; neither may hold a space.
    ///
    /// # Errors
    ///
    /// As [`Ledger::write`].
    pub fn note(&self, what: &str, name: &str, context: &TaskContext) -> io::Result<()> {
        let (process, attempt, epoch) = (std::process::id(), context.attempt_number(), context.epoch());
        let (invocation, at) = (context.invocation_id(), SystemClock.now().as_millis());
        self.write(&format!("{what} {name} {process} {attempt} {invocation} {epoch} {at}"))
    }

    /// Writes down that a submit was acknowledged.
    ///
    /// # Errors
    ///
    /// As [`Ledger::write`].
    pub fn accept(&self, id: InvocationId) -> io::Result<()> {
        self.write(&format!("accepted {id}"))
    }

    /// Writes down what was given as the value of an invocation, as JSON.
    ///
    /// # Errors
    ///
    /// As [`Ledger::write`].
    pub fn see(&self, id: InvocationId, value: &str) -> io::Result<()> {
        self.write(&format!("saw {id} {value}"))
    }

    /// Every line so far.
    pub fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// What bodies wrote down by [`Ledger::note`].
    pub fn notes(&self) -> Vec<Note> {
        self.lines().iter().filter_map(|line| Note::parse(line)).collect()
    }

    /// The submits that were acknowledged.
    pub fn accepted(&self) -> Vec<InvocationId> {
        self.lines().iter().filter_map(|line| line.strip_prefix("accepted ")?.parse().ok()).collect()
    }

    /// The values that were given, as JSON.
    pub fn seen(&self) -> Vec<(InvocationId, String)> {
        let lines = self.lines();
        let seen = lines.iter().filter_map(|line| line.strip_prefix("saw ")?.split_once(' '));
        seen.filter_map(|(id, value)| Some((id.parse().ok()?, value.to_owned()))).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::at(folder.path().join("ledger"));
        let (id, other) = (InvocationId::new(), InvocationId::new());
        ledger.accept(id).unwrap();
        ledger.see(other, "[1, \"a b\"]").unwrap();
        ledger.write(&format!("begin a 7 1 {id} 3 1700000000000")).unwrap();
        ledger.write("begin of something else").unwrap();
        assert_eq!((ledger.accepted(), ledger.seen()), (vec![id], vec![(other, "[1, \"a b\"]".to_owned())]));
        let [note] = &ledger.notes()[..] else { panic!("{:?}", ledger.notes()) };
        assert_eq!((note.process, note.epoch, note.invocation, note.name.as_str()), (7, 3, id, "a"));
    }
}
