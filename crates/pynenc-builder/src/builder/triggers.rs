//! The builder's methods of the feature `triggers`.

use pynenc_triggers::Trigger;

use super::PynencBuilder;
use crate::backends::triggers;

impl PynencBuilder {
    /// Adds a trigger: conditions, and the call that they cause.
    pub fn trigger(mut self, trigger: Trigger) -> Self {
        triggers::add(&mut self.attachments, trigger);
        self
    }
}
