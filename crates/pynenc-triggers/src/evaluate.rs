//! Evaluation: whether an observation meets a condition.

use pynenc_core::SerializerExt;
use pynenc_core::record::Outcome;
use pynenc_engine::{Engine, Result};
use serde_json::{Map, Value};

use crate::candidate::Candidate;
use crate::context::error_of;
use crate::failure::{catch_panic, split_permanent};
use crate::observation::{CompletionDetails, Observation};
use crate::pattern::matches;
use crate::spec::ConditionSpec;

/// The result of an evaluation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Evaluation {
    /// The observation meets the condition.
    Met,
    /// The observation doesn't meet the condition.
    Unmet,
    /// The evaluation failed permanently, with this error.
    Failed(String),
}

/// Evaluates a condition: first its patterns, then its filters.
///
/// # Errors
///
/// A transient error, such as a store that can't be reached.
pub(crate) async fn evaluate(engine: &Engine, candidate: &Candidate) -> Result<Evaluation> {
    let Candidate { condition, observation } = candidate;
    let filter = condition.code().and_then(|code| code.filter.as_ref());
    let evaluation = async {
        if !fits(engine, condition.spec(), observation).await? {
            return Ok(false);
        }
        match filter {
            Some(filter) => filter(engine, observation).await,
            None => Ok(true),
        }
    };
    Ok(match split_permanent(catch_panic(evaluation).await)? {
        Ok(true) => Evaluation::Met,
        Ok(false) => Evaluation::Unmet,
        Err(error) => Evaluation::Failed(error),
    })
}

/// Whether an observation fits the keys, kinds and patterns of a condition.
async fn fits(engine: &Engine, condition: &ConditionSpec, observation: &Observation) -> Result<bool> {
    match (condition, observation) {
        (ConditionSpec::Event { key, matching, .. }, Observation::Event(event)) => {
            if key.is_some() && key.as_deref() != event.key.as_deref() {
                return Ok(false);
            }
            let Some(pattern) = matching else { return Ok(true) };
            let payload = engine.reader(&event.serializer)?.decode_as(&event.payload)?;
            Ok(matches(&payload, pattern))
        }
        (ConditionSpec::Completion { kinds, arguments, result, .. }, Observation::Completion(completion)) => {
            let fits_kind = kinds.is_empty() || kinds.contains(&error_of(completion).kind);
            Ok(fits_kind
                && fits_arguments(engine, arguments.as_ref(), completion).await?
                && fits_result(engine, result.as_ref(), completion).await?)
        }
        _ => Ok(true),
    }
}

async fn fits_arguments(engine: &Engine, pattern: Option<&Value>, completion: &CompletionDetails) -> Result<bool> {
    let (Some(pattern), Some(call)) = (pattern, &completion.call) else { return Ok(pattern.is_none()) };
    let mut values = Map::new();
    for argument in &call.arguments {
        let value = engine.value(&argument.value, &call.serializer).await?;
        values.insert(argument.name.to_string(), value);
    }
    Ok(matches(&values.into(), pattern))
}

async fn fits_result(engine: &Engine, pattern: Option<&Value>, completion: &CompletionDetails) -> Result<bool> {
    match (pattern, &completion.outcome) {
        (Some(pattern), Some(Outcome::Value { value, serializer })) => {
            Ok(matches(&engine.value(value, serializer).await?, pattern))
        }
        (pattern, _) => Ok(pattern.is_none()),
    }
}
