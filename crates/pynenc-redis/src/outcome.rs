//! The stored outcomes of an invocation.

use pynenc_core::Result;
use pynenc_core::packed::{pack, unpack};
use pynenc_core::record::Outcome;
use pynenc_core::state_backend::OutcomeWrite;

use crate::codec::{Pack, Parse};

/// Encodes an outcome, behind its invocation and its epoch.
pub(crate) fn stored(write: &OutcomeWrite) -> Vec<u8> {
    let outcome = pack(&write.outcome);
    let pack = Pack::new().bytes(write.id.as_bytes()).u48(write.epoch).u32(outcome.len() as u64);
    pack.bytes(&outcome).done()
}

/// Finds the outcome of an epoch among the stored outcomes of an invocation.
pub(crate) fn of_epoch(epoch: u64, stored: &[u8]) -> Result<Option<Outcome>> {
    let mut parse = Parse::new(stored);
    while !parse.rest().is_empty() {
        let (of, length) = (parse.u48()?, parse.u32()?);
        let value = parse.bytes(length as usize)?;
        if of == epoch {
            return unpack(value).map(Some);
        }
    }
    Ok(None)
}
