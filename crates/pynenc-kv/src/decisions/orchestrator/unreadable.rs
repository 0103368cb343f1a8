//! Invocations whose entry is damaged or has a layout of a newer version. Their entries stay as they are, and all other
//! invocations go on.

use pynenc_core::{ErrorKind, InvocationId, Result};

use super::state::{Effects, Entry, State};
use crate::storage::{Map, Storage};

impl<S: Storage, E: Effects> State<S, E> {
    /// Whether an invocation has an entry that can't be read.
    pub fn is_unreadable(&self, id: InvocationId) -> Result<bool> {
        match self.entries.get(&id) {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The entry of an invocation, if it has one that can be read.
    pub(super) fn readable(&self, id: InvocationId) -> Result<Option<&Entry>> {
        if self.is_unreadable(id)? { Ok(None) } else { Ok(self.entries.get(&id)?.map(|entry| &**entry)) }
    }
}
