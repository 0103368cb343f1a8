//! `call`: submits a call, and waits for its result with `--wait`.

use std::time::Duration;

use pynenc_builder::Pynenc;
use pynenc_core::InvocationId;
use pynenc_engine::{EncodedCall, Error, Result};
use serde_json::{Map, Value, json};

use crate::arguments::Call;
use crate::exit::Exit;
use crate::in_memory::is_in_memory;
use crate::output::Output;
use crate::stderr;

pub(super) async fn call(app: &Pynenc, options: &Call, output: &mut Output) -> Result<Exit> {
    let arguments = arguments(&options.args)?;
    let call = with_options(app.call_by_name(&options.task, &arguments).await?, options);
    let is_synchronous = app.settings().synchronous.is_some();
    let runs_here = is_in_memory(app) && !is_synchronous;
    if runs_here && !options.wait {
        return Err(Error::other(
            "this app is in memory, and its calls are lost when this process exits: pass --wait to run the call here",
        ));
    }
    let runner = if runs_here { Some(app.start_runner().await?) } else { None };
    let id = app.submit_call(call).await?;
    if !options.wait {
        output.value(|| json!({"invocation": id}), || id.to_string())?;
        return Ok(Exit::Done);
    }
    let exit = wait(app, id, options.timeout, output).await;
    if let Some(runner) = runner {
        runner.shutdown_now().await?;
    }
    exit
}

fn arguments(text: &str) -> Result<Map<String, Value>> {
    let invalid = |message: &'static str| pynenc_core::Error::invalid(message).with("example", r#"--args '{"x": 1}'"#);
    match serde_json::from_str(text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => Err(invalid("the arguments aren't a JSON object with a key for each parameter").into()),
        Err(error) => Err(invalid("the arguments aren't valid JSON").caused_by(error).into()),
    }
}

fn with_options(mut call: EncodedCall, options: &Call) -> EncodedCall {
    if let Some(delay) = options.delay {
        call = call.delay(delay);
    }
    if let Some(priority) = options.priority {
        call = call.priority(priority);
    }
    if let Some(queue) = &options.queue {
        call = call.queue(queue);
    }
    if let Some(key) = &options.idempotency_key {
        call = call.idempotency_key(key);
    }
    call
}

/// Waits for the result and writes it. An invocation without a result is no failure of this command, and has an exit
/// code of its own.
async fn wait(app: &Pynenc, id: InvocationId, limit: Option<Duration>, output: &mut Output) -> Result<Exit> {
    let value = app.result::<Value>(id);
    let value = match limit {
        Some(limit) => tokio::time::timeout(limit, value).await.unwrap_or(Err(Error::Timeout(limit))),
        None => value.await,
    };
    match value {
        Ok(value) => {
            output.value(|| json!({"invocation": id, "value": value}), || text(&value))?;
            Ok(Exit::Done)
        }
        Err(error @ (Error::Unavailable { .. } | Error::InvocationNotFound(_))) => Err(error),
        Err(error) => {
            if output.is_json() {
                output.value(|| json!({"invocation": id, "error": error.to_string()}), String::new)?;
            }
            stderr::print("error", &format!("{error} (invocation {id})"));
            Ok(if matches!(error, Error::Timeout(_)) { Exit::Failed } else { Exit::NoValue })
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}
