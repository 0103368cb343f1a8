//! The caller's side: making, submitting and awaiting calls, and acting on invocations.

mod argument_diff;
mod await_call;
mod call;
mod call_by_name;
mod cancel;
mod encode;
mod events;
mod explain;
mod group;
mod invocation;
mod partial_id;
mod prepared;
mod result;
mod resume;
mod retry;
mod search;
mod send_span;
mod submit;

pub use call::{Call, CallOptions, EncodedCall};
pub use cancel::{Cancel, CancelAll};
pub use events::Emit;
pub use explain::Why;
pub use group::InvocationGroup;
pub use invocation::Invocation;
pub use prepared::PreparedCall;
pub use resume::ResumeReply;
pub use retry::retry_id;
pub use search::{Found, Search};
