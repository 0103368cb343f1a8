//! Completes the partial invocation ids of the command line.

use pynenc_core::InvocationId;
use pynenc_engine::{Engine, Result};

use crate::arguments::IdArgument;

/// Returns the id that an argument stands for. A full id is returned as it is, even if no invocation has it.
///
/// # Errors
///
/// No id or more than one id begins or ends with the digits of the argument.
pub(crate) async fn complete(app: &Engine, argument: &IdArgument) -> Result<InvocationId> {
    match argument {
        IdArgument::Full(id) => Ok(*id),
        IdArgument::Partial(digits) => app.complete_id(digits).await,
    }
}
