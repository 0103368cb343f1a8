//! `call`

use std::time::Duration;

use pynenc_builder::Pynenc;
use pynenc_core::InvocationId;
use pynenc_engine::{EncodedCall, Error, Result};
use serde_json::{Map, Value, json};

use super::is_in_memory;
use crate::arguments::Call;
use crate::exit::Exit;
use crate::screen::{Screen, complain};

pub(super) async fn call(app: &Pynenc, wanted: &Call, screen: &mut Screen) -> Result<Exit> {
    let arguments = arguments(&wanted.args)?;
    let call = with_options(app.call_by_name(&wanted.task, &arguments).await?, wanted);
    let is_synchronous = app.settings().synchronous.is_some();
    let runs_here = is_in_memory(app) && !is_synchronous;
    if runs_here && !wanted.wait {
        return Err(Error::other(
            "this app keeps everything in the memory of its process, and this one ends now: use --wait, which runs the call here",
        ));
    }
    let runner = if runs_here { Some(app.start_runner().await?) } else { None };
    let id = app.submit_call(call).await?;
    if !wanted.wait {
        screen.answer(|| json!({"invocation": id}), || id.to_string())?;
        return Ok(Exit::Done);
    }
    let exit = value(app, id, wanted.timeout, screen).await;
    if let Some(runner) = runner {
        runner.shutdown_now().await?;
    }
    exit
}

fn arguments(text: &str) -> Result<Map<String, Value>> {
    let invalid = |message: &'static str| pynenc_core::Error::invalid(message).with("example", r#"--args '{"x": 1}'"#);
    match serde_json::from_str(text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => Err(invalid("the arguments have to be a JSON object, with a key for each parameter").into()),
        Err(error) => Err(invalid("the arguments aren't JSON").caused_by(error).into()),
    }
}

fn with_options(mut call: EncodedCall, wanted: &Call) -> EncodedCall {
    if let Some(delay) = wanted.delay {
        call = call.delay(delay);
    }
    if let Some(priority) = wanted.priority {
        call = call.priority(priority);
    }
    if let Some(queue) = &wanted.queue {
        call = call.queue(queue);
    }
    if let Some(key) = &wanted.idempotency_key {
        call = call.idempotency_key(key);
    }
    call
}

/// Waits for the value. That the invocation ended without one isn't this command's fault, and has a code of its own.
async fn value(app: &Pynenc, id: InvocationId, limit: Option<Duration>, screen: &mut Screen) -> Result<Exit> {
    let value = app.result::<Value>(id);
    let value = match limit {
        Some(limit) => tokio::time::timeout(limit, value).await.unwrap_or(Err(Error::Timeout(limit))),
        None => value.await,
    };
    match value {
        Ok(value) => {
            screen.answer(|| json!({"invocation": id, "value": value}), || told(&value))?;
            Ok(Exit::Done)
        }
        Err(error @ (Error::Unavailable { .. } | Error::InvocationNotFound(_))) => Err(error),
        Err(error) => {
            if screen.is_json() {
                screen.answer(|| json!({"invocation": id, "error": error.to_string()}), String::new)?;
            }
            complain("error", &format!("{error} (invocation {id})"));
            Ok(if matches!(error, Error::Timeout(_)) { Exit::Failed } else { Exit::NoValue })
        }
    }
}

fn told(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}
