//! Candidates: observations paired with the conditions that they may meet.

use crate::active::ActiveCondition;
use crate::observation::Observation;

/// An observation that a store offered to a condition.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) condition: ActiveCondition,
    pub(crate) observation: Observation,
}

impl Candidate {
    /// Returns an id that is the same each time the observation is offered to the condition: of the run that it fires,
    /// or of the occurrence that is stored.
    pub(crate) fn id(&self) -> Box<str> {
        let Self { condition, observation } = self;
        format!("{}/{}/{}", condition.trigger.id, condition.index, observation.id()).into()
    }
}
