//! The hints of a store with a lane: in the entries of invocations, or in a table.

use pynenc_core::{InvocationId, QueueName, Result};

use crate::decisions::orchestrator::State;
use crate::decisions::queues::{Hint, HintTable, Hints};
use crate::stores::bytes::Bytes;
use crate::stores::committed::Committed;

/// Hints that are found in the entries of invocations that a lane registered, and in a table for all others.
///
/// A claim and a settlement write the entry anyway, so such a hint needs no row of its own.
pub(crate) struct EntryHints<'a, 't> {
    pub(crate) state: &'a mut State<Bytes<'t>, Committed>,
    pub(crate) table: &'a mut HintTable<Bytes<'t>>,
}

impl Hints for EntryHints<'_, '_> {
    fn hint(&self, queue: &QueueName, id: InvocationId) -> Result<Option<Hint>> {
        match self.state.hint(queue, id)? {
            Some(hint) => Ok(hint),
            None => self.table.hint(queue, id),
        }
    }

    fn set_hint(&mut self, queue: &QueueName, id: InvocationId, hint: Option<Hint>) -> Result<()> {
        match self.state.hint(queue, id)? {
            Some(_) => self.state.set_hint(id, hint),
            None => self.table.set_hint(queue, id, hint),
        }
    }
}
