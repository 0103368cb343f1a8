//! Loads the details of completions: as much of the call and the outcome as each condition reads.

use std::sync::Arc;

use futures_util::future::try_join_all;
use pynenc_core::orchestrator::OutboxEntry;
use pynenc_core::record::Outcome;
use pynenc_core::serializer::{JsonSerializer, Serializer};
use pynenc_engine::{Engine, Result};

use crate::active::ActiveCondition;
use crate::candidate::Candidate;
use crate::observation::{CompletionDetails, Observation};
use crate::spec::ConditionSpec;

/// The details that a condition reads.
#[derive(Debug, Clone, Copy, Default)]
struct Needs {
    call: bool,
    outcome: bool,
}

impl Needs {
    fn of(condition: &ActiveCondition) -> Self {
        let ConditionSpec::Completion { kinds, arguments, result, .. } = condition.spec() else {
            return Self::default();
        };
        let makes_call = condition.trigger.code.as_ref().is_some_and(|code| code.make_call.is_some());
        let code = condition.code().filter(|code| makes_call || code.filter.is_some());
        Self {
            call: code.is_some_and(|code| code.reads_call) || arguments.is_some(),
            outcome: code.is_some_and(|code| code.reads_outcome) || result.is_some() || !kinds.is_empty(),
        }
    }
}

/// Loads completions for the conditions that they were offered to.
pub(crate) async fn load(engine: &Engine, entries: Vec<(ActiveCondition, OutboxEntry)>) -> Result<Vec<Candidate>> {
    let state = &engine.parts().state;
    let entries: Vec<_> =
        entries.into_iter().map(|(condition, entry)| (Needs::of(&condition), condition, entry)).collect();
    let ids: Vec<_> = entries.iter().filter(|(needs, ..)| needs.call).map(|(.., entry)| entry.id).collect();
    let calls = if ids.is_empty() { Vec::new() } else { state.invocations(&ids).await? };
    let outcomes = entries
        .iter()
        .map(async |(needs, _, entry)| if needs.outcome { outcome(engine, entry).await } else { Ok(None) });
    let outcomes = try_join_all(outcomes).await?;
    let mut calls = calls.into_iter();
    let candidates = entries.into_iter().zip(outcomes).map(|((needs, condition, entry), outcome)| {
        let call = if needs.call { calls.next().flatten() } else { None };
        let completion = CompletionDetails { entry, call: call.map(Arc::unwrap_or_clone), outcome };
        Candidate { condition, observation: Observation::Completion(Box::new(completion)) }
    });
    Ok(candidates.collect())
}

/// Reads the outcome of an invocation. A large error, which is stored as content of its own, is read too if it is still
/// kept.
async fn outcome(engine: &Engine, entry: &OutboxEntry) -> pynenc_core::Result<Option<Outcome>> {
    let outcome = engine.parts().state.outcome(entry.id, entry.record.epoch).await?;
    let Some(Outcome::LargeError(content)) = outcome else { return Ok(outcome) };
    match engine.value(&content, JsonSerializer.name()).await {
        Ok(error) => Ok(Some(Outcome::Error(error))),
        Err(error) if error.is_retryable() => Err(error),
        Err(error) => {
            tracing::warn!(invocation = %entry.id, %error, "can't read the error of a failed invocation");
            Ok(None)
        }
    }
}
