//! A log file of the actions of task functions and clients, outside of every store.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pynenc_core::clock::SystemClock;
use pynenc_core::{Clock, InvocationId, Timestamp};
use pynenc_engine::TaskContext;

/// A file to which task functions append one line for each action. A written line survives a crash of its process.
#[derive(Debug, Clone)]
pub struct Ledger(PathBuf);

/// A line that a task function wrote about its own run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The action, such as `begin` or `end`.
    pub action: String,
    /// The object of the action.
    pub name: String,
    /// The process that ran the task function.
    pub process: u32,
    /// The attempt number.
    pub attempt: u32,
    /// The invocation.
    pub invocation: InvocationId,
    /// The epoch of the claim under which the task function ran.
    pub epoch: u64,
    /// The time by the machine's clock.
    pub at: Timestamp,
}

impl Note {
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let [action, name, process, attempt, invocation, epoch, at] = words[..] else { return None };
        Some(Self {
            action: action.to_owned(),
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
    /// Creates a ledger for a path. The file needn't exist yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The path of the file.
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
        // One call writes the whole line, so lines of several processes don't mix.
        file.write_all(format!("{line}\n").as_bytes())
    }

    /// Records an action of a task function. Neither the action nor the name may contain a space.
    ///
    /// # Errors
    ///
    /// Fails like [`Ledger::write`].
    pub fn note(&self, action: &str, name: &str, context: &TaskContext) -> io::Result<()> {
        let (process, attempt, epoch) = (std::process::id(), context.attempt_number(), context.epoch());
        let (invocation, at) = (context.invocation_id(), SystemClock.now().as_millis());
        self.write(&format!("{action} {name} {process} {attempt} {invocation} {epoch} {at}"))
    }

    /// Records an acknowledged submit.
    ///
    /// # Errors
    ///
    /// Fails like [`Ledger::write`].
    pub fn record_accepted(&self, id: InvocationId) -> io::Result<()> {
        self.write(&format!("accepted {id}"))
    }

    /// Records the value of an invocation's result, as JSON.
    ///
    /// # Errors
    ///
    /// Fails like [`Ledger::write`].
    pub fn record_result(&self, id: InvocationId, value: &str) -> io::Result<()> {
        self.write(&format!("saw {id} {value}"))
    }

    /// Every line written so far.
    pub fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The actions that task functions recorded with [`Ledger::note`].
    pub fn notes(&self) -> Vec<Note> {
        self.lines().iter().filter_map(|line| Note::parse(line)).collect()
    }

    /// The acknowledged submits.
    pub fn accepted(&self) -> Vec<InvocationId> {
        self.lines().iter().filter_map(|line| line.strip_prefix("accepted ")?.parse().ok()).collect()
    }

    /// The recorded results, as JSON.
    pub fn results(&self) -> Vec<(InvocationId, String)> {
        let lines = self.lines();
        let results = lines.iter().filter_map(|line| line.strip_prefix("saw ")?.split_once(' '));
        results.filter_map(|(id, value)| Some((id.parse().ok()?, value.to_owned()))).collect()
    }

    /// The number of lines that start with this text.
    pub fn count(&self, start: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(start)).count()
    }

    /// Waits until at least `count` lines start with this text.
    ///
    /// # Panics
    ///
    /// Panics after one minute.
    pub async fn reaches(&self, count: usize, start: &str) {
        let waited = async {
            while self.count(start) < count {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let in_time = tokio::time::timeout(std::time::Duration::from_secs(60), waited).await;
        assert!(
            in_time.is_ok(),
            "expected {count} lines that start with {start:?} within a minute, got {:#?}",
            self.lines()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_lines_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::at(folder.path().join("ledger"));
        let (id, other) = (InvocationId::new(), InvocationId::new());
        ledger.record_accepted(id).unwrap();
        ledger.record_result(other, "[1, \"a b\"]").unwrap();
        ledger.write(&format!("begin a 7 1 {id} 3 1700000000000")).unwrap();
        ledger.write("begin without the other fields").unwrap();
        assert_eq!((ledger.accepted(), ledger.results()), (vec![id], vec![(other, "[1, \"a b\"]".to_owned())]));
        let [note] = &ledger.notes()[..] else { panic!("{:?}", ledger.notes()) };
        assert_eq!((note.process, note.epoch, note.invocation, note.name.as_str()), (7, 3, id, "a"));
    }
}
