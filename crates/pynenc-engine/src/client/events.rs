//! Events: a program appends them to the app's log for triggers and workflows.

use std::future::IntoFuture;

use futures_util::future::BoxFuture;
use pynenc_core::trigger_store::NewEvent;
use serde::Serialize;

use crate::engine::Engine;
use crate::error::{Error, Result};

/// The maximum number of events in one round trip.
const BATCH: usize = 500;

/// An event to append. Awaiting it appends the event and returns its position in the log.
#[derive(Debug)]
#[must_use = "an event is emitted when this is awaited"]
pub struct Emit<'a> {
    engine: &'a Engine,
    event: Result<NewEvent>,
}

impl Emit<'_> {
    /// Sets the key of the event. Consumers can wait for events with one key.
    pub fn key(mut self, key: &str) -> Self {
        self.event = self.event.map(|event| NewEvent { key: Some(key.into()), ..event });
        self
    }
}

impl<'a> IntoFuture for Emit<'a> {
    type Output = Result<u64>;
    type IntoFuture = BoxFuture<'a, Result<u64>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let positions = self.engine.parts().triggers.append_events(&[self.event?]).await?;
            positions.first().copied().ok_or_else(|| pynenc_core::Error::unavailable("the event had no reply").into())
        })
    }
}

impl Engine {
    /// Appends an event to the app's log, from any process. No runner has to be alive.
    ///
    /// ```
    /// # async fn emit(app: pynenc_engine::Engine) -> pynenc_engine::Result<()> {
    /// app.emit_event("user.login", &"ana").key("ana").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a payload that can't be encoded or is larger than `arg_cache.max_size`, and for an empty
    /// name; [`Error::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// A dropped emit may or may not have taken effect.
    pub fn emit_event<P: Serialize + ?Sized>(&self, name: &str, payload: &P) -> Emit<'_> {
        Emit { engine: self, event: self.event(name, &payload) }
    }

    /// Appends events of one name in batches, and returns their positions in the log.
    ///
    /// # Errors
    ///
    /// As [`Engine::emit_event`]. Events that were appended before the one that failed stay in the log.
    pub async fn emit_events<P: Serialize>(&self, name: &str, payloads: &[P]) -> Result<Vec<u64>> {
        let mut positions = Vec::with_capacity(payloads.len());
        for chunk in payloads.chunks(BATCH) {
            let events = chunk.iter().map(|payload| self.event(name, payload)).collect::<Result<Vec<_>>>()?;
            positions.extend(self.parts().triggers.append_events(&events).await?);
        }
        Ok(positions)
    }

    fn event(&self, name: &str, payload: &dyn erased_serde::Serialize) -> Result<NewEvent> {
        let serializer = &self.parts().serializer;
        let payload = serializer.encode(payload).map_err(|error| error.with("event", name))?;
        let limit = self.settings().arg_cache.max_size;
        if payload.len() > limit {
            let error = pynenc_core::Error::invalid("the payload is larger than the setting `arg_cache.max_size`");
            return Err(Error::Invalid(error.with("event", name).with("bytes", payload.len()).with("limit", limit)));
        }
        if name.is_empty() {
            return Err(Error::Invalid(pynenc_core::Error::invalid("an event needs a name")));
        }
        Ok(NewEvent { name: name.into(), key: None, payload: payload.into(), serializer: serializer.name().into() })
    }
}
