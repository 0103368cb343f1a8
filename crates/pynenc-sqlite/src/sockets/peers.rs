//! The sockets of other processes, by the names in their folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::address::Subject;

/// The list is read again after this time: two changes within one tick of the system's clock look like one.
const LONGEST_USE: Duration = Duration::from_secs(1);

/// The sockets in a folder.
pub(super) struct Peers {
    folder: PathBuf,
    /// The end of the names of the sockets that get no notices.
    own: String,
    names: Vec<String>,
    changed: Option<SystemTime>,
    read: Option<Instant>,
}

impl Peers {
    pub(super) fn new(folder: &Path, own: &str) -> Self {
        Self { folder: folder.to_owned(), own: own.to_owned(), names: Vec::new(), changed: None, read: None }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The names of the sockets of other processes that receive the notices.
    pub(super) fn of(&mut self, subject: Subject) -> Vec<String> {
        self.refresh();
        if self.names.is_empty() {
            return Vec::new();
        }
        let prefix = format!("{}-", subject.prefix());
        self.names.iter().filter(|name| name.starts_with(&prefix)).cloned().collect()
    }

    /// Removes a socket whose process has ended.
    pub(super) fn forget(&mut self, name: &str) {
        self.names.retain(|other| other != name);
        drop(fs::remove_file(self.folder.join(name)));
    }

    fn refresh(&mut self) {
        let changed = fs::metadata(&self.folder).and_then(|folder| folder.modified()).ok();
        let is_fresh = self.read.is_some_and(|read| read.elapsed() < LONGEST_USE);
        if is_fresh && changed == self.changed {
            return;
        }
        let names = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        self.names = names.filter(|name| !name.ends_with(&self.own)).collect();
        (self.changed, self.read) = (changed, Some(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::AppKeys;
    use pynenc_kv::Topic;

    #[test]
    fn only_sockets_of_other_processes_for_the_subject_are_peers() {
        let folder = tempfile::tempdir().unwrap();
        let others = ["1-hints-a-7", "1-signals-a-7", "11-hints-a-7"];
        let all = others.iter().map(|name| (*name).to_owned()).chain(["1-hints-a-8".to_owned()]);
        all.for_each(|name| fs::write(folder.path().join(name), "").unwrap());
        let mut peers = Peers::new(folder.path(), "-8");
        let hints = Subject { app: AppKeys::new(1), topic: Topic::Hints };
        assert_eq!(peers.of(hints), ["1-hints-a-7"]);
        peers.forget("1-hints-a-7");
        assert!(peers.of(hints).is_empty() && !folder.path().join("1-hints-a-7").exists());
    }
}
