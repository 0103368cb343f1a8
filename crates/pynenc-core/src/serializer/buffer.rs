//! The buffer in which values are encoded.

use std::cell::Cell;

use crate::error::Result;

/// A longer encoding keeps the buffer that it was written to, and isn't copied.
const LONGEST_COPY: usize = 4096;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Returns the bytes that `write` appends to a buffer. Short values are copied out of a buffer that the thread keeps: that
/// makes one allocation of the right size, where a new buffer would grow and stay too large.
pub(super) fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<Vec<u8>> {
    // Taken, because a value may encode another one while it is encoded itself.
    let mut buffer = BUFFER.take();
    buffer.clear();
    write(&mut buffer)?;
    if buffer.len() > LONGEST_COPY {
        return Ok(buffer);
    }
    let encoded = buffer.as_slice().to_vec();
    BUFFER.set(buffer);
    Ok(encoded)
}
