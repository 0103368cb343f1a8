//! Collections over the bytes of a transaction.
//!
//! A value is decoded when it is first asked for, and kept for the step. Changes are written when the step is over, so a
//! step that fails before has written nothing.

mod access;
mod collections;
mod counted;
mod index;
mod sets;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use access::Bytes;
