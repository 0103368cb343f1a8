//! `events emit`: appends an event to the event log.

use pynenc_engine::{Engine, Result};
use serde_json::{Value, json};

use crate::arguments::Events;
use crate::exit::Exit;
use crate::output::Output;

pub(super) async fn emit(app: &Engine, options: &Events, output: &mut Output) -> Result<Exit> {
    let Events::Emit { name, payload, key } = options;
    let payload: Value = serde_json::from_str(payload).map_err(|error| {
        pynenc_core::Error::invalid("the payload isn't JSON").with("payload", payload).caused_by(error)
    })?;
    let event = app.emit_event(name, &payload);
    let position = match key {
        Some(key) => event.key(key).await?,
        None => event.await?,
    };
    let text = || format!("appended `{name}` to the event log at position {position}");
    output.value(|| json!({"event": name, "place": position}), text)?;
    Ok(Exit::Done)
}
