//! The fence option.

use serde::{Deserialize, Serialize};

/// The treatment of an attempt whose runner can't prove that it still owns the invocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fence {
    /// The attempt continues. Its outcome counts only if no other runner has taken over.
    #[default]
    Run,
    /// The attempt is cancelled at once.
    Cancel,
}
