//! Folders for builds that aren't kept.

use std::path::{Path, PathBuf};

/// A target folder of cargo. A temporary one is removed when it is dropped.
pub(crate) struct BuildFolder {
    path: PathBuf,
    temporary: bool,
}

impl BuildFolder {
    /// A new folder with this name among the temporary files.
    pub(crate) fn temporary(name: &str) -> Self {
        Self { path: std::env::temp_dir().join(format!("{name}-{}", std::process::id())), temporary: true }
    }

    /// A folder that is kept.
    pub(crate) const fn kept(path: PathBuf) -> Self {
        Self { path, temporary: false }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for BuildFolder {
    fn drop(&mut self) {
        if self.temporary
            && self.path.exists()
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            eprintln!("can't remove the temporary folder {}: {error}. Remove it by hand.", self.path.display());
        }
    }
}
