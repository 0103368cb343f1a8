//! The code of a trigger: the filters of its conditions and the closure that makes its call.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use pynenc_engine::{EncodedCall, Engine, Result};

use crate::observation::Observation;
use crate::spec::ConditionSpec;

/// A condition with its code.
#[derive(Clone)]
pub struct CompiledCondition {
    pub(crate) spec: ConditionSpec,
    /// Whether the context of the condition holds the record of the call.
    pub(crate) reads_call: bool,
    /// Whether the context of the condition holds the outcome.
    pub(crate) reads_outcome: bool,
    pub(crate) filter: Option<Filter>,
}

impl fmt::Debug for CompiledCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledCondition").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// The user's filters of one condition: decides whether an observation meets it.
pub(crate) type Filter = Arc<dyn for<'a> Fn(&'a Engine, &'a Observation) -> BoxFuture<'a, Result<bool>> + Send + Sync>;

/// Makes a trigger's call from the observations of its conditions, in their order; `None` for a condition of `any` that
/// wasn't met.
pub(crate) type MakeCall =
    Arc<dyn Fn(Engine, Vec<Option<Observation>>) -> BoxFuture<'static, Result<EncodedCall>> + Send + Sync>;

/// The code of one trigger. A trigger that was added at run time has none.
#[derive(Clone)]
pub(crate) struct TriggerCode {
    pub(crate) conditions: Vec<CompiledCondition>,
    /// `None` for a trigger that makes the same call each time.
    pub(crate) make_call: Option<MakeCall>,
}

impl fmt::Debug for TriggerCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TriggerCode").field("conditions", &self.conditions).finish_non_exhaustive()
    }
}

impl TriggerCode {
    /// Whether the trigger has no closure, so that a store can keep all of it.
    pub(crate) fn is_data(&self) -> bool {
        self.make_call.is_none() && self.conditions.iter().all(|condition| condition.filter.is_none())
    }
}
