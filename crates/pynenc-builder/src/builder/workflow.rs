//! The builder's methods of the feature `workflow`.

use super::PynencBuilder;
use crate::backends::workflow;

impl PynencBuilder {
    /// Makes workflows replay their journals without performing new operations.
    ///
    /// For tests of a workflow's code against recorded runs.
    pub fn replaying(mut self) -> Self {
        workflow::replay_only(&mut self.attachments);
        self
    }
}
