//! Events: what a program says has happened.

use std::future::IntoFuture;

use futures_util::future::BoxFuture;
use pynenc_core::trigger_store::NewEvent;
use serde::Serialize;

use crate::engine::Engine;
use crate::error::{Error, Result};

/// At most so many events make one trip.
const BATCH: usize = 500;

/// An event on its way into the log; awaiting it appends it and gives its place.
#[derive(Debug)]
#[must_use = "an event is emitted when this is awaited"]
pub struct Emit<'a> {
    engine: &'a Engine,
    event: Result<NewEvent>,
}

impl Emit<'_> {
    /// What the event concerns, for those who wait for one key.
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
            let places = self.engine.parts().triggers.append_events(&[self.event?]).await?;
            places.first().copied().ok_or_else(|| pynenc_core::Error::unavailable("the event had no reply").into())
        })
    }
}

impl Engine {
    /// Appends an event to the app's log, from any process; no runner has to be there.
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
    /// [`Error::Invalid`] for a payload that can't be encoded or is larger than `arg_cache.max_size`, and for a name that
    /// is empty; [`Error::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// A dropped emit may or may not have taken effect.
    pub fn emit_event<P: Serialize + ?Sized>(&self, name: &str, payload: &P) -> Emit<'_> {
        Emit { engine: self, event: self.event(name, &payload) }
    }

    /// Appends events of one name in batches, and gives their places.
    ///
    /// # Errors
    ///
    /// As [`Engine::emit_event`]; events that were appended before the one that failed stay.
    pub async fn emit_events<P: Serialize>(&self, name: &str, payloads: &[P]) -> Result<Vec<u64>> {
        let mut places = Vec::with_capacity(payloads.len());
        for chunk in payloads.chunks(BATCH) {
            let events = chunk.iter().map(|payload| self.event(name, payload)).collect::<Result<Vec<_>>>()?;
            places.extend(self.parts().triggers.append_events(&events).await?);
        }
        Ok(places)
    }

    fn event(&self, name: &str, payload: &dyn erased_serde::Serialize) -> Result<NewEvent> {
        let serializer = &self.parts().serializer;
        let payload = serializer.encode(payload).map_err(|error| error.with("event", name))?;
        let limit = self.settings().arg_cache.max_size;
        if payload.len() > limit {
            let error = pynenc_core::Error::invalid("payload is larger than the setting arg_cache.max_size");
            return Err(Error::Invalid(error.with("event", name).with("bytes", payload.len()).with("limit", limit)));
        }
        if name.is_empty() {
            return Err(Error::Invalid(pynenc_core::Error::invalid("an event needs a name")));
        }
        Ok(NewEvent { name: name.into(), key: None, payload: payload.into(), serializer: serializer.name().into() })
    }
}
