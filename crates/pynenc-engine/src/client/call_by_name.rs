//! Calls of tasks by name, with JSON arguments, as the command line and other programs make them.

use std::sync::Arc;

use bytes::Bytes;
use pynenc_core::Serializer;
use pynenc_core::record::InvocationRecord;
use pynenc_core::serializer::JsonSerializer;
use serde_json::{Map, Value};

use super::call::{CallOptions, EncodedCall};
use super::encode::Uploads;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::task::{ArgumentSink, ArgumentSource, RegisteredTask};

impl Engine {
    /// Creates the call of a task by name. The name is the full one, or its last segment if that is unambiguous.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTask`]; [`Error::Invalid`] for an unknown argument, a missing one, or one that the task can't
    /// decode.
    ///
    /// ```
    /// # async fn call(app: pynenc_engine::Engine) -> pynenc_engine::Result<()> {
    /// use serde_json::json;
    ///
    /// let arguments = json!({"x": 1, "y": 2}).as_object().cloned().unwrap_or_default();
    /// let call = app.call_by_name("my_tasks::add", &arguments).await?.priority(7);
    /// let id = app.submit_call(call).await?;
    /// let sum: serde_json::Value = app.result(id).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn call_by_name(&self, task: &str, arguments: &Map<String, Value>) -> Result<EncodedCall> {
        let task = self.tasks().named(task)?;
        check(task, arguments)?;
        let mut sink = ArgumentSink::new(&JsonSerializer, true);
        for name in task.definition.arguments {
            sink.put(name, &arguments[*name])?;
        }
        let mut uploads = Uploads::default();
        let call = self.build_call(task, sink, JsonSerializer.name(), CallOptions::default(), &mut uploads)?;
        uploads.send(self).await?;
        Ok(call)
    }

    /// Reads the arguments of an invocation as JSON, from its record and the argument cache.
    ///
    /// # Errors
    ///
    /// An argument is missing from the argument cache, or has no JSON form.
    pub async fn json_arguments(&self, record: &InvocationRecord) -> pynenc_core::Result<Map<String, Value>> {
        let reader = self.reader(&record.serializer)?;
        let fetched = self.fetch_all(&record.arguments).await?.into_iter();
        fetched.map(|(name, value)| Ok((name.into_owned(), value.decode(&*reader)?))).collect()
    }

    /// Submits an encoded call and returns the id of its invocation, which may have existed before.
    ///
    /// # Errors
    ///
    /// As [`Engine::submit`].
    ///
    /// # Cancel safety
    ///
    /// A dropped submit may or may not have taken effect; with an idempotency key it can be repeated.
    pub async fn submit_call(&self, call: EncodedCall) -> Result<pynenc_core::InvocationId> {
        let submitted = self.submit_encoded(vec![(pynenc_core::InvocationId::new(), call)]).await?.pop();
        submitted.unwrap_or_else(|| Err(pynenc_core::Error::unavailable("the submit had no reply").into()))
    }
}

fn check(task: &RegisteredTask, arguments: &Map<String, Value>) -> Result<()> {
    let known = task.definition.arguments;
    let invalid = |message: &'static str, name: &str| {
        let error = pynenc_core::Error::invalid(message).with("argument", name).with("task", &task.id);
        Error::Invalid(error.with("parameters", if known.is_empty() { "none".to_owned() } else { known.join(", ") }))
    };
    if let Some(name) = arguments.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(invalid("the task has no such parameter", name));
    }
    if let Some(name) = known.iter().find(|name| !arguments.contains_key(**name)) {
        return Err(invalid("an argument is missing", name));
    }
    let encoded = |name: &&'static str| Ok(((*name).into(), JsonSerializer.encode(&arguments[*name])?.into()));
    let encoded: Vec<(_, Bytes)> = known.iter().map(encoded).collect::<pynenc_core::Result<_>>()?;
    let mut source = ArgumentSource::new(Arc::new(JsonSerializer), encoded);
    (task.definition().check)(&mut source).map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let invalid = pynenc_core::Error::invalid("the task can't decode an argument").with("task", &task.id);
        let invalid = error.context().iter().fold(invalid, |invalid, (key, value)| invalid.with(key, value));
        Error::Invalid(invalid.with("cause", cause))
    })
}
