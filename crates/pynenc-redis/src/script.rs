//! The Lua scripts and the function library, assembled from `scripts/` and `scripts/lib/`.
//!
//! Each file in `scripts/` is one atomic step, named after the trait method that runs it. The files in `scripts/lib/`
//! hold the functions that several scripts share. `K.name` stands for a key, `S.name` for a status, `R.name` for a
//! reason, `A.name` for an actor, `E.name` for a field of an entry, and `T.name` for a table or a constant. The
//! assembly replaces each by a literal, so a script spends no time on looking names up. The lifecycle table is the
//! core's.

mod assembly;
mod library;
mod literals;
mod table;

pub(crate) use library::{function_name, library};
pub(crate) use table::*;
