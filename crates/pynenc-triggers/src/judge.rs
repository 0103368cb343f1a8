//! Whether something that happened is what a condition waits for.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use pynenc_core::SerializerExt;
use pynenc_core::record::Outcome;
use pynenc_engine::{Engine, Error, Result};
use serde_json::{Map, Value};

use crate::context::error_of;
use crate::happening::{Ended, Happening};
use crate::live::LiveLeaf;
use crate::matching::has;
use crate::spec::Leaf;

/// What a condition makes of something that happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It came true.
    True,
    /// It didn't.
    False,
    /// Its code failed.
    Failed(String),
}

/// Whether a condition comes true by something that happened.
pub(crate) async fn judge(engine: &Engine, to: &LiveLeaf, happening: &Happening) -> Result<Verdict> {
    let filter = to.trigger.code.as_ref().and_then(|code| code.parts[to.leaf as usize].filter.clone());
    let judged = async {
        if !fits(engine, to.spec(), happening).await? {
            return Ok(false);
        }
        match filter {
            Some(filter) => filter(engine, happening).await,
            None => Ok(true),
        }
    };
    Ok(match lasting(guarded(judged).await)? {
        Ok(true) => Verdict::True,
        Ok(false) => Verdict::False,
        Err(why) => Verdict::Failed(why),
    })
}

/// Whether it has what the condition asks for as data.
async fn fits(engine: &Engine, leaf: &Leaf, happening: &Happening) -> Result<bool> {
    match (leaf, happening) {
        (Leaf::Event { key, matching, .. }, Happening::Event(event)) => {
            if key.is_some() && key.as_deref() != event.key.as_deref() {
                return Ok(false);
            }
            let Some(pattern) = matching else { return Ok(true) };
            let payload = engine.reader(&event.serializer)?.decode_as(&event.payload)?;
            Ok(has(&payload, pattern))
        }
        (Leaf::Ended { kinds, arguments, result, .. }, Happening::Ended(ended)) => {
            let fits_kind = kinds.is_empty() || kinds.contains(&error_of(ended).kind);
            Ok(fits_kind
                && fits_arguments(engine, arguments.as_ref(), ended).await?
                && fits_result(engine, result.as_ref(), ended).await?)
        }
        _ => Ok(true),
    }
}

async fn fits_arguments(engine: &Engine, pattern: Option<&Value>, ended: &Ended) -> Result<bool> {
    let (Some(pattern), Some(call)) = (pattern, &ended.call) else { return Ok(pattern.is_none()) };
    let mut values = Map::new();
    for argument in &call.arguments {
        let value = engine.value(&argument.value, &call.serializer).await?;
        values.insert(argument.name.to_string(), value);
    }
    Ok(has(&values.into(), pattern))
}

async fn fits_result(engine: &Engine, pattern: Option<&Value>, ended: &Ended) -> Result<bool> {
    match (pattern, &ended.outcome) {
        (Some(pattern), Some(Outcome::Value { value, serializer })) => {
            Ok(has(&engine.value(value, serializer).await?, pattern))
        }
        (pattern, _) => Ok(pattern.is_none()),
    }
}

/// Runs code of the user's; a panic is an error.
pub(crate) async fn guarded<T>(code: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(code).catch_unwind().await.unwrap_or_else(|panic| Err(Error::other(panicked(&*panic))))
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without a message"))
}

/// Tells a failure that stays, as text, from one that may pass.
pub(crate) fn lasting<T>(result: Result<T>) -> Result<Result<T, String>> {
    match result {
        Err(error) if error.is_retryable() => Err(error),
        Err(error) => Ok(Err(error.to_string())),
        Ok(value) => Ok(Ok(value)),
    }
}
