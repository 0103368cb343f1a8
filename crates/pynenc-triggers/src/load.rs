//! What there is to know of an end, as far as its trigger looks at it.

use std::sync::Arc;

use futures_util::future::try_join_all;
use pynenc_core::orchestrator::OutboxEntry;
use pynenc_core::record::Outcome;
use pynenc_core::serializer::{JsonSerializer, Serializer};
use pynenc_engine::{Engine, Result};

use crate::happening::{Ended, Happening};
use crate::live::LiveLeaf;
use crate::react::Told;
use crate::spec::Leaf;

/// Which facts a condition looks at.
#[derive(Debug, Clone, Copy, Default)]
struct Needs {
    call: bool,
    outcome: bool,
}

impl Needs {
    fn of(to: &LiveLeaf) -> Self {
        let Leaf::Ended { kinds, arguments, result, .. } = to.spec() else { return Self::default() };
        let by_code = to.trigger.code.as_ref().map_or(Self::default(), |code| {
            let part = &code.parts[to.leaf as usize];
            let is_read = code.make.is_some() || part.filter.is_some();
            Self { call: is_read && part.reads_call, outcome: is_read && part.reads_outcome }
        });
        Self {
            call: by_code.call || arguments.is_some(),
            outcome: by_code.outcome || result.is_some() || !kinds.is_empty(),
        }
    }
}

/// Reads as much of each end as its trigger looks at.
pub(crate) async fn load(engine: &Engine, entries: Vec<(LiveLeaf, OutboxEntry)>) -> Result<Vec<Told>> {
    let state = &engine.parts().state;
    let entries: Vec<_> = entries.into_iter().map(|(to, entry)| (Needs::of(&to), to, entry)).collect();
    let ids: Vec<_> = entries.iter().filter(|(needs, ..)| needs.call).map(|(.., entry)| entry.id).collect();
    let calls = if ids.is_empty() { Vec::new() } else { state.invocations(&ids).await? };
    let outcomes = entries
        .iter()
        .map(async |(needs, _, entry)| if needs.outcome { outcome(engine, entry).await } else { Ok(None) });
    let outcomes = try_join_all(outcomes).await?;
    let mut calls = calls.into_iter();
    let told = entries.into_iter().zip(outcomes).map(|((needs, to, entry), outcome)| {
        let call = if needs.call { calls.next().flatten() } else { None };
        let ended = Ended { entry, call: call.map(Arc::unwrap_or_clone), outcome };
        Told { to, happening: Happening::Ended(Box::new(ended)) }
    });
    Ok(told.collect())
}

/// What a body left behind; an error that is kept apart for its size is fetched, if it is still there.
async fn outcome(engine: &Engine, entry: &OutboxEntry) -> pynenc_core::Result<Option<Outcome>> {
    let outcome = engine.parts().state.outcome(entry.id, entry.record.epoch).await?;
    let Some(Outcome::LargeError(content)) = outcome else { return Ok(outcome) };
    match engine.value(&content, JsonSerializer.name()).await {
        Ok(error) => Ok(Some(Outcome::Error(error))),
        Err(error) if error.is_retryable() => Err(error),
        Err(error) => {
            tracing::warn!(invocation = %entry.id, %error, "the error that a trigger looks at can't be read");
            Ok(None)
        }
    }
}
