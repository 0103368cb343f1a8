//! The orchestrator: owns every invocation's status and decides which runner may run it.
//!
//! | file | holds |
//! |---|---|
//! | `lifecycle.rs` | registering, claiming, transitions, cancelling, and reading the state of invocations |
//! | `listing.rs` | the filters of listings, and counts |
//! | `waiting.rs` | task functions that wait for other invocations, and watches |
//! | `runners.rs` | heartbeats, leases, signals and the retirement of runners |
//! | `outbox.rs` | final transitions that a listener has to handle |
//! | `retention.rs` | deleting finished invocations |

mod lifecycle;
mod listing;
mod outbox;
mod retention;
mod runners;
mod store;
mod waiting;

pub use lifecycle::{
    CancelReply, Claim, ClaimReply, HistoryEntry, Inspection, Lifecycle, Registered, Tracked, Transition,
    TransitionReply,
};
pub use listing::{Counts, Find};
pub use outbox::{Outbox, OutboxEntry, OutboxInterest, OutboxTake};
pub use retention::Retention;
pub use runners::{Heartbeat, HeartbeatReply, Introduction, RunnerInfo, Runners, Signal};
pub use store::Orchestrator;
pub use waiting::{Block, Blocked, Completion, Waiting};
