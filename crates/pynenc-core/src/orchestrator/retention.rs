//! Deleting finished invocations.

use std::time::Duration;

use async_trait::async_trait;

use crate::component::Component;
use crate::error::Result;
use crate::id::InvocationId;

/// Finds and deletes invocations whose retention is over.
#[async_trait]
pub trait Retention: Component {
    /// Offers finished invocations whose retention is over. Each is offered again after `again_after`, until it is
    /// forgotten.
    ///
    /// # Behavior
    ///
    /// - a finished invocation is offered when its retention is over, and not before
    /// - an outlived invocation that isn't forgotten is offered again after `again_after`
    async fn outlived(&self, limit: usize, again_after: Duration) -> Result<Vec<InvocationId>>;

    /// Deletes finished invocations with their history and keys.
    ///
    /// # Behavior
    ///
    /// - a forgotten invocation is unknown, and its idempotency key is free
    /// - a forgotten invocation leaves no entry in the outbox
    /// - an unfinished invocation isn't forgotten
    async fn forget(&self, ids: &[InvocationId]) -> Result<()>;
}
