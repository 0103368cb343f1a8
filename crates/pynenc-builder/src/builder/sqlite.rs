//! The builder's methods of the feature `sqlite`.

use pynenc_engine::Result;
use pynenc_sqlite::{Maintenance, SqliteConfig};

use super::PynencBuilder;

impl PynencBuilder {
    /// Finds the SQLite files of the app without building it, to back up, check or compact them.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](pynenc_engine::Error::Config) if `sqlite.path` is invalid or the file doesn't exist.
    pub fn sqlite_maintenance(&self) -> Result<Maintenance> {
        Ok(Maintenance::of(&self.loader.clone().load()?.section::<SqliteConfig>()?)?)
    }
}
