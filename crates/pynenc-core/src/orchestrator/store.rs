//! The trait that brings the parts of an orchestrator together.

use std::sync::Arc;

use super::lifecycle::Lifecycle;
use super::outbox::Outbox;
use super::retention::Retention;
use super::runners::Runners;
use super::waiting::Waiting;
use crate::broker::Broker;
use crate::component::Component;
use crate::lane::Lane;
use crate::state_backend::StateBackend;

/// Owns every invocation's status. Each change of an invocation is one atomic step.
///
/// The methods are in the traits of the parts. A method that takes a batch answers in the order of the batch. All times
/// are the store's. Components never call each other. If something has to follow from a step, for example a hint for an
/// invocation that got a slot, the reply says so and the engine does it.
///
/// # Behavior
///
/// - after a purge no invocation, runner or lease is known
/// - a purge leaves outbox interests in place
pub trait Orchestrator: Component + Lifecycle + Waiting + Runners + Outbox + Retention {
    /// A lane for an orchestrator, a broker and a state backend in the same store; `None` if they can't share one.
    fn lane(&self, _broker: &Arc<dyn Broker>, _state: &Arc<dyn StateBackend>) -> Option<Arc<dyn Lane>> {
        None
    }
}
