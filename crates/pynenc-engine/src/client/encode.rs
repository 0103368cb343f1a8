//! From a call to a submission: encoded arguments, the record, and the registration with its concurrency keys.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use pynenc_core::lane::Submission;
use pynenc_core::record::{
    Argument, IdempotencyKey, InvocationRecord, Priority, Registration, RegistrationKey, RunningKey, WhenBlocked,
    WorkflowIdentity,
};
use pynenc_core::status::Due;
use pynenc_core::task_options::Concurrency;
use pynenc_core::{Digest, InvocationId};

use super::call::{Call, CallOptions, EncodedCall};
use crate::argument_cache::Upload;
use crate::context::TaskContext;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::task::{ArgumentIdentity, ArgumentSink, Arguments, RegisteredTask, Task};

impl Engine {
    /// Encodes a call, so that it can be stored and submitted later, by this process or another one.
    ///
    /// # Errors
    ///
    /// The errors of [`Engine::submit`] that the argument cache and the call itself can cause.
    pub async fn encode<T: Task>(&self, call: Call<T>) -> Result<EncodedCall> {
        let mut uploads = Uploads::default();
        let call = self.encode_call(self.known_task(T::definition().name)?, call, &mut uploads)?;
        uploads.send(self).await?;
        Ok(call)
    }

    /// Computes the digest of a call's task and arguments. It covers the values of the arguments, or their encoded
    /// bytes if one of them has no JSON form.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if an argument can't be encoded.
    pub fn digest<T: Task>(&self, call: &Call<T>) -> Result<Digest> {
        let (name, serializer) = (T::definition().name, &*self.parts().serializer);
        let mut sink = ArgumentSink::new(serializer, true);
        if call.arguments.encode(&mut sink).is_ok() {
            return Ok(sink.into_parts().1.unwrap_or_default().of_all(name));
        }
        let mut sink = ArgumentSink::new(serializer, false);
        call.arguments.encode(&mut sink)?;
        let (encoded, _) = sink.into_parts();
        let values = encoded.into_iter().map(|(name, value)| (name.into(), Digest::of(&value.bytes))).collect();
        Ok(ArgumentIdentity::of_digests(values).of_all(name))
    }

    pub(super) fn prepare_encoded(
        &self,
        id: InvocationId,
        call: EncodedCall,
    ) -> Result<(&Arc<RegisteredTask>, Submission)> {
        let task = self.known_task(call.task.as_str())?;
        Ok((task, self.submission(task, id, call)?))
    }

    pub(super) fn known_task(&self, name: &str) -> Result<&Arc<RegisteredTask>> {
        self.tasks().find(name).ok_or_else(|| self.tasks().unknown(name))
    }

    pub(super) fn prepare_call<T: Task>(
        &self,
        task: &RegisteredTask,
        call: Call<T>,
        uploads: &mut Uploads,
    ) -> Result<Submission> {
        let call = self.encode_call(task, call, uploads)?;
        self.submission(task, InvocationId::new(), call)
    }

    fn encode_call<T: Task>(&self, task: &RegisteredTask, call: Call<T>, uploads: &mut Uploads) -> Result<EncodedCall> {
        let Call { arguments, options } = call;
        options.check()?;
        let serializer = &*self.parts().serializer;
        let mut sink = ArgumentSink::new(serializer, wants_identity(task, &options));
        arguments.encode(&mut sink)?;
        drop(arguments);
        if self.settings().reads_back_arguments {
            sink.read_back::<T::Arguments>(self.parts().serializer.clone())?;
        }
        self.build_call(task, sink, serializer.name(), options, uploads)
    }

    /// Makes a call of encoded arguments. Large arguments become references to the argument cache, with `uploads`.
    pub(super) fn build_call(
        &self,
        task: &RegisteredTask,
        sink: ArgumentSink<'_>,
        serializer: &'static str,
        options: CallOptions,
        uploads: &mut Uploads,
    ) -> Result<EncodedCall> {
        let (encoded, identity) = sink.into_parts();
        let mut arguments = Vec::with_capacity(encoded.len());
        for (name, value) in encoded {
            let payload = self.large_values().externalize(value, may_cache(task, &options, name));
            let (value, upload) = payload.map_err(|error| error.with("argument", name))?;
            uploads.add(upload, options.due, self);
            arguments.push(Argument { name: name.into(), value });
        }
        let (task, serializer) = (task.id.clone(), serializer.into());
        Ok(EncodedCall { task, arguments, serializer, identity, options })
    }

    pub(super) fn submission(&self, task: &RegisteredTask, id: InvocationId, call: EncodedCall) -> Result<Submission> {
        let EncodedCall { arguments, serializer, identity, options, .. } = call;
        let identity = match identity {
            None if wants_identity(task, &options) => return Err(without_identity(task)),
            identity => identity.unwrap_or_default(),
        };
        let record = Arc::new(self.record(task, id, &options, arguments, serializer));
        let registration = self.registration(task, &options, &record, &identity);
        Ok(Submission { record, registration })
    }

    fn record(
        &self,
        task: &RegisteredTask,
        id: InvocationId,
        options: &CallOptions,
        arguments: Vec<Argument>,
        serializer: Cow<'static, str>,
    ) -> InvocationRecord {
        let caller = TaskContext::current_of(self);
        let now = self.parts().clock.now();
        InvocationRecord {
            id,
            task: task.id.clone(),
            arguments,
            serializer,
            queue: options.queue.clone().unwrap_or_else(|| task.queue.clone()),
            priority: options.priority.map_or(task.priority, Priority::new),
            timeout: options.timeout,
            max_retries: options.max_retries,
            parent: caller.as_ref().map(TaskContext::invocation_id),
            workflow: workflow(task, id, caller.as_ref()),
            retry_of: None,
            trace: self.trace(options.trace.as_ref(), caller.as_ref().and_then(TaskContext::trace)),
            created_at: now,
            due: options.due.map(|due| due.at(now)),
        }
    }

    fn registration(
        &self,
        task: &RegisteredTask,
        options: &CallOptions,
        record: &InvocationRecord,
        identity: &ArgumentIdentity,
    ) -> Registration {
        let name = task.id.as_str();
        let key = |control: &Concurrency| concurrency_key(control, name, identity);
        Registration {
            id: record.id,
            task: task.id.clone(),
            queue: record.queue.clone(),
            priority: record.priority,
            due: options.due,
            registration: key(&task.options.registration_concurrency)
                .map(|key| RegistrationKey { key, arguments: identity.of_all(name) }),
            running: key(&task.options.running_concurrency).map(|key| running_key(task, key)),
            idempotency: options
                .idempotency_key
                .as_deref()
                .map(|key| IdempotencyKey { key: key.into(), arguments: identity.of_all(name) }),
            retention: self.retention(),
        }
    }
}

/// The large values that have to be in the argument cache before their calls are submitted.
#[derive(Default)]
pub(super) struct Uploads {
    contents: Vec<Upload>,
    /// The longest delay until a call is due. Content is kept that much longer.
    wait: Duration,
}

impl Uploads {
    fn add(&mut self, upload: Option<Upload>, due: Option<Due>, engine: &Engine) {
        let Some(upload) = upload else { return };
        let now = engine.parts().clock.now();
        self.wait = self.wait.max(due.map_or(Duration::ZERO, |due| due.at(now).since(now)));
        self.contents.push(upload);
    }

    pub(super) async fn send(self, engine: &Engine) -> Result<()> {
        if self.contents.is_empty() {
            return Ok(());
        }
        Ok(engine.large_values().send(self.contents, self.wait).await?)
    }
}

/// The workflow of a call: its caller's, unless the task always founds a new one.
fn workflow(task: &RegisteredTask, id: InvocationId, caller: Option<&TaskContext>) -> Option<WorkflowIdentity> {
    let joined = caller.and_then(TaskContext::workflow);
    if task.options.force_new_workflow {
        return Some(WorkflowIdentity { id, parent: joined.map(|workflow| workflow.id) });
    }
    joined
}

/// Whether the call needs an [`ArgumentIdentity`], for concurrency control or an idempotency key.
pub(super) fn wants_identity(task: &RegisteredTask, options: &CallOptions) -> bool {
    task.options.registration_concurrency != Concurrency::Disabled
        || task.options.running_concurrency != Concurrency::Disabled
        || options.idempotency_key.is_some()
}

fn without_identity(task: &RegisteredTask) -> Error {
    let message = "the call was encoded by a program in which the task has no concurrency control, but here the task \
                   has some; encode the call again";
    Error::Invalid(pynenc_core::Error::invalid(message).with("task", &task.id))
}

fn may_cache(task: &RegisteredTask, options: &CallOptions, name: &str) -> bool {
    let excluded = task.options.disable_cache_args.iter().chain(&options.disable_cache_args);
    !excluded.into_iter().any(|excluded| excluded == "*" || excluded == name)
}

fn concurrency_key(control: &Concurrency, task: &str, identity: &ArgumentIdentity) -> Option<Digest> {
    match control {
        Concurrency::Disabled => None,
        Concurrency::Task => Some(Digest::of(task.as_bytes())),
        Concurrency::Arguments => Some(identity.of_all(task)),
        Concurrency::Keys(names) => Some(identity.of_some(task, names)),
    }
}

fn running_key(task: &RegisteredTask, key: Digest) -> RunningKey {
    let parks = task.options.reroute_on_concurrency_control;
    let when_blocked = if parks { WhenBlocked::Park } else { WhenBlocked::Drop };
    RunningKey { key, limit: task.options.running_limit, when_blocked }
}
