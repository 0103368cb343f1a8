//! The queued hints: in memory for searching, and in files that survive a restart.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pynenc_core::broker::{Message, Pop, QueueState};
use pynenc_core::{Error, InvocationId, QueueName, Result, Timestamp};
use serde::{Deserialize, Serialize};

/// The content of one file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Hint {
    /// The order among hints of equal priority, and the name of the file.
    sequence: u64,
    message: Message,
}

impl Hint {
    fn is_due(&self, now: Timestamp) -> bool {
        self.message.not_before.is_none_or(|time| time <= now)
    }
}

#[derive(Debug)]
pub(crate) struct Hints {
    directory: PathBuf,
    last: u64,
    queued: HashMap<(QueueName, InvocationId), Hint>,
}

impl Hints {
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let failed = |error| unusable(directory, error);
        fs::create_dir_all(directory).map_err(failed)?;
        let mut hints = Self { directory: directory.to_owned(), last: 0, queued: HashMap::new() };
        for entry in fs::read_dir(directory).map_err(failed)? {
            hints.read(&entry.map_err(failed)?.path())?;
        }
        Ok(hints)
    }

    /// Reads a file. A file that a crash has cut off is deleted, because a broker may lose hints.
    fn read(&mut self, path: &Path) -> Result<()> {
        if path.extension().is_none_or(|extension| extension != "hint") {
            return Ok(());
        }
        let content = fs::read(path).map_err(|error| unusable(path, error))?;
        match serde_json::from_slice::<Hint>(&content) {
            Ok(hint) => {
                self.last = self.last.max(hint.sequence);
                self.queued.insert((hint.message.queue.clone(), hint.message.invocation), hint);
                Ok(())
            }
            Err(_) => fs::remove_file(path).map_err(|error| unusable(path, error)),
        }
    }

    pub(crate) fn push(&mut self, message: &Message, now: Timestamp) -> Result<()> {
        let key = (message.queue.clone(), message.invocation);
        let mut message = message.clone();
        message.not_before = message.not_before.filter(|time| *time > now);
        let sequence = match self.queued.get(&key) {
            Some(old) => {
                // The earlier due time counts. `None` means due now, and is less than every time.
                message.not_before = message.not_before.min(old.message.not_before);
                message.priority = message.priority.max(old.message.priority);
                old.sequence
            }
            None => self.last + 1,
        };
        let hint = Hint { sequence, message };
        self.write(&hint)?;
        self.last = self.last.max(sequence);
        self.queued.insert(key, hint);
        Ok(())
    }

    /// Removes and returns due hints up to the maximum, queue by queue in the order of the request.
    pub(crate) fn take(&mut self, pop: &Pop, now: Timestamp) -> Result<Vec<InvocationId>> {
        let mut taken = Vec::new();
        for queue in &pop.queues {
            let ids: Vec<_> = self.due(queue, now).into_iter().take(pop.max - taken.len()).collect();
            for id in ids {
                self.remove(queue, id)?;
                taken.push(id);
            }
        }
        Ok(taken)
    }

    /// Returns the due invocations of a queue in the order in which they are popped.
    fn due(&self, queue: &QueueName, now: Timestamp) -> Vec<InvocationId> {
        let mut due: Vec<_> =
            self.queued.values().filter(|hint| hint.message.queue == *queue && hint.is_due(now)).collect();
        due.sort_unstable_by_key(|hint| (Reverse(hint.message.priority), hint.sequence));
        due.into_iter().map(|hint| hint.message.invocation).collect()
    }

    pub(crate) fn next_due(&self, queues: &[QueueName]) -> Option<Timestamp> {
        let served = self.queued.values().filter(|hint| queues.contains(&hint.message.queue));
        served.filter_map(|hint| hint.message.not_before).min()
    }

    pub(crate) fn state(&self, queue: &QueueName, position_of: Option<InvocationId>, now: Timestamp) -> QueueState {
        let (due, all) = (self.due(queue, now), self.queued.keys().filter(|(name, _)| name == queue).count());
        let position = position_of.and_then(|id| due.iter().position(|due| *due == id));
        let (ready, delayed) = (due.len() as u64, (all - due.len()) as u64);
        QueueState { ready, delayed, position: position.map(|before| before as u64) }
    }

    pub(crate) fn remove(&mut self, queue: &QueueName, id: InvocationId) -> Result<()> {
        match self.queued.remove(&(queue.clone(), id)) {
            Some(hint) => self.delete(hint.sequence),
            None => Ok(()),
        }
    }

    pub(crate) fn purge(&mut self) -> Result<()> {
        let hints = std::mem::take(&mut self.queued);
        hints.into_values().try_for_each(|hint| self.delete(hint.sequence))
    }

    fn write(&self, hint: &Hint) -> Result<()> {
        let path = self.path(hint.sequence);
        let content =
            serde_json::to_vec(hint).map_err(|error| Error::invalid("can't write the hint").caused_by(error))?;
        fs::write(&path, content).map_err(|error| unusable(&path, error))
    }

    fn delete(&self, sequence: u64) -> Result<()> {
        let path = self.path(sequence);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(&path, error)),
            _ => Ok(()),
        }
    }

    fn path(&self, sequence: u64) -> PathBuf {
        self.directory.join(format!("{sequence:020}.hint"))
    }
}

/// The error of a file operation. The disk may be full or missing for a while, so workers try again.
fn unusable(path: &Path, error: io::Error) -> Error {
    Error::unavailable("can't use the directory of hints").with("path", path.display()).caused_by(error)
}
