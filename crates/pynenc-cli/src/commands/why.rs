//! `why`: explains in one sentence why an invocation isn't running.

use pynenc_engine::{Engine, Result};
use serde_json::json;

use crate::arguments::Why;
use crate::exit::Exit;
use crate::output::Output;
use crate::partial_id;

pub(super) async fn why(app: &Engine, options: &Why, output: &mut Output) -> Result<Exit> {
    let id = partial_id::complete(app, &options.id).await?;
    let why = app.why(id).await?;
    let json = || json!({"invocation": id, "sentence": why.to_string(), "why": why});
    output.value(json, || why.to_string())?;
    Ok(Exit::Done)
}
