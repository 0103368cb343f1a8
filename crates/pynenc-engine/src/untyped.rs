//! Calls by name, with arguments as JSON: what a person types, or another program sends.

use std::sync::Arc;

use bytes::Bytes;
use pynenc_core::Serializer;
use pynenc_core::record::InvocationRecord;
use pynenc_core::serializer::JsonSerializer;
use serde_json::{Map, Value};

use crate::arguments::{ArgumentSink, ArgumentSource};
use crate::call::{CallOptions, EncodedCall};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::submit::Uploads;
use crate::task::RegisteredTask;

impl Engine {
    /// The call of a task by its name: its full one, or the last segment of it if no other task has that.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTask`]; [`Error::Invalid`] for arguments that the task doesn't have, lacks, or can't decode.
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
        let call = self.placed(task, sink, JsonSerializer.name(), CallOptions::default(), &mut uploads)?;
        uploads.send(self).await?;
        Ok(call)
    }

    /// The arguments of a call as JSON, wherever they are.
    ///
    /// # Errors
    ///
    /// One is externalized and gone, or has no JSON form.
    pub async fn json_arguments(&self, record: &InvocationRecord) -> pynenc_core::Result<Map<String, Value>> {
        let reader = self.reader(&record.serializer)?;
        let fetched = self.fetch_all(&record.arguments).await?.into_iter();
        fetched.map(|(name, value)| Ok((name.into_owned(), value.decode(&*reader)?))).collect()
    }

    /// Submits an encoded call and gives the invocation that stands for it.
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
    let refused = |message: &'static str, name: &str| {
        let error = pynenc_core::Error::invalid(message).with("argument", name).with("task", &task.id);
        Error::Invalid(error.with("parameters", if known.is_empty() { "none".to_owned() } else { known.join(", ") }))
    };
    if let Some(name) = arguments.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(refused("the task has no such parameter", name));
    }
    if let Some(name) = known.iter().find(|name| !arguments.contains_key(**name)) {
        return Err(refused("an argument is missing", name));
    }
    let encoded = |name: &&'static str| Ok(((*name).into(), JsonSerializer.encode(&arguments[*name])?.into()));
    let encoded: Vec<(_, Bytes)> = known.iter().map(encoded).collect::<pynenc_core::Result<_>>()?;
    let mut source = ArgumentSource::new(Arc::new(JsonSerializer), encoded);
    (task.definition.check)(&mut source).map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let told = pynenc_core::Error::invalid("an argument isn't what the task takes").with("task", &task.id);
        let told = error.context().iter().fold(told, |told, (key, value)| told.with(key, value));
        Error::Invalid(told.with("cause", cause))
    })
}
