//! `events`

use pynenc_engine::{Engine, Result};
use serde_json::{Value, json};

use crate::arguments::Events;
use crate::exit::Exit;
use crate::screen::Screen;

pub(super) async fn emit(app: &Engine, wanted: &Events, screen: &mut Screen) -> Result<Exit> {
    let Events::Emit { name, payload, key } = wanted;
    let payload: Value = serde_json::from_str(payload).map_err(|error| {
        pynenc_core::Error::invalid("the payload isn't JSON").with("payload", payload).caused_by(error)
    })?;
    let event = app.emit_event(name, &payload);
    let place = match key {
        Some(key) => event.key(key).await?,
        None => event.await?,
    };
    screen.answer(|| json!({"event": name, "place": place}), || format!("{name} has place {place} in the log"))?;
    Ok(Exit::Done)
}
