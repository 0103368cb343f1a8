//! The Lua scripts and the function library, assembled from `scripts/` and `scripts/lib/`.
//!
//! Each file in `scripts/` is one atomic step, named after the trait method that runs it. The files in `scripts/lib/`
//! hold the functions that several scripts share. `K.name` stands for a key, `S.name` for a status, `R.name` for a
//! reason, `F.name` and `L.name` for the first and the last byte of a field in the header of an entry, `B.name` for a
//! place behind the registration, and `T.name` for a set or a constant. The assembly replaces each by a literal, so a script spends no time on looking names up.
//!
//! The client decides on transitions of invocations that it owns, by the core's lifecycle. Scripts decide only for
//! invocations without an owner: claims, cancels, and slots that are handed over.

mod assembly;
mod library;
mod literals;
mod table;

pub(crate) use library::{function_name, library};
pub(crate) use table::*;
