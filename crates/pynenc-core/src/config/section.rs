//! The trait of a table of settings.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;

/// A table of settings, owned by the crate that reads it.
///
/// `Self::default()` defines the known keys and their defaults, by the way it serializes. So no field may be skipped or
/// have an alias. Don't use `flatten` or `untagged`: they lose the types that text from the environment is converted
/// to.
pub trait Section: Serialize + DeserializeOwned + Default {
    /// The table's name; empty for the root keys.
    const NAME: &'static str;

    /// Keys whose values are secret and never shown.
    const SECRETS: &'static [&'static str] = &[];

    /// Checks the rules that types can't express. An error names the key.
    fn validate(&self) -> Result<()> {
        Ok(())
    }
}
