//! From a call to an invocation that exists.

use std::borrow::Cow;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, MaybeDone, maybe_done};
use pynenc_core::lane::Submission;
use pynenc_core::orchestrator::Registered;
use pynenc_core::record::{
    Argument, IdempotencyKey, InvocationRecord, Payload, Priority, Registration, RegistrationKey, RunningKey,
    WhenBlocked, WorkflowIdentity,
};
use pynenc_core::status::Due;
use pynenc_core::task_options::Concurrency;
use pynenc_core::{Digest, InvocationId, Lane, SerializerExt, Status};

use crate::arguments::{ArgumentIdentity, ArgumentSink, Arguments};
use crate::call::{Call, CallOptions, EncodedCall};
use crate::content::Upload;
use crate::context::TaskContext;
use crate::engine::Engine;
use crate::error::{ArgumentDiff, Error, Result};
use crate::extension::Changed;
use crate::invocation::{Invocation, InvocationGroup, Reuse};
use crate::task::{RegisteredTask, Task};
use crate::worker::Awaited;

/// At most so many calls make one trip.
const BATCH: usize = 500;

impl Engine {
    /// Submits a call and gives its invocation at once.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTask`], [`Error::Invalid`] where the arguments can't be encoded or read back,
    /// [`Error::IdempotencyConflict`], [`Error::ArgumentsDiffer`] where the task asks for it, [`Error::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// A dropped submit may or may not have taken effect; with an idempotency key it can be repeated.
    pub async fn submit<T: Task>(&self, call: Call<T>) -> Result<Invocation<T>> {
        let task = self.known(T::definition().name)?;
        let mut uploads = Uploads::default();
        let submission = self.prepared(task, call, &mut uploads)?;
        uploads.send(self).await?;
        let reply = self.sent(&submission).await;
        self.accepted(task, &submission, Some(reply)).await
    }

    /// Submits together with what others submit meanwhile, and once more alone where the one who led them went away:
    /// repeating it changes nothing.
    async fn sent(&self, submission: &Submission) -> pynenc_core::Result<Registered> {
        match self.submits().send(submission.clone()).await {
            Some(reply) => reply,
            None => only(self.lane().submit(vec![submission.clone()]).await?),
        }
    }

    /// Submits calls of one task in batches.
    ///
    /// # Errors
    ///
    /// As [`Engine::submit`]; calls that were accepted before the one that failed go on.
    pub async fn submit_all<T: Task>(&self, calls: impl IntoIterator<Item = Call<T>>) -> Result<InvocationGroup<T>> {
        let task = self.known(T::definition().name)?;
        let mut invocations = Vec::new();
        let mut calls = calls.into_iter().peekable();
        let mut on_its_way: Option<Trip> = None;
        while calls.peek().is_some() {
            let mut batch = Vec::with_capacity(BATCH.min(calls.size_hint().0));
            let mut uploads = Uploads::default();
            for call in calls.by_ref().take(BATCH) {
                batch.push(self.prepared(task, call, &mut uploads)?);
            }
            uploads.send(self).await?;
            // One batch is encoded while the one before it is on its way.
            let next = Trip::depart(self.lane(), batch).await;
            if let Some(trip) = on_its_way.replace(next) {
                self.arrived(task, trip, &mut invocations).await?;
            }
        }
        if let Some(trip) = on_its_way {
            self.arrived(task, trip, &mut invocations).await?;
        }
        Ok(InvocationGroup::new(self.clone(), invocations))
    }

    async fn arrived<T: Task>(
        &self,
        task: &RegisteredTask,
        trip: Trip,
        invocations: &mut Vec<Invocation<T>>,
    ) -> Result<()> {
        let (batch, replies) = trip.arrive().await?;
        for (submission, reply) in batch.iter().zip(replies) {
            invocations.push(self.accepted(task, submission, Some(reply)).await?);
        }
        Ok(())
    }

    /// Submits a call as a child of the body that runs, and waits for its value.
    pub(crate) async fn call<T: Task>(&self, context: &TaskContext, call: Call<T>) -> Result<T::Output> {
        if self.inline_worker().is_some() {
            return context.submit(call).await?.result().await;
        }
        let task = self.known(T::definition().name)?;
        let mut uploads = Uploads::default();
        let submission = self.prepared(task, call, &mut uploads)?;
        uploads.send(self).await?;
        match context.attempt().call(self, &submission).await? {
            Awaited::Ended { record, outcome: Some(outcome) } if record.status == Status::Success => {
                self.value_of(submission.record.id, Some(outcome)).await
            }
            Awaited::Ended { record, .. } => self.outcome(submission.record.id, &record).await,
            Awaited::Registered(reply) => self.accepted::<T>(task, &submission, Some(Ok(reply))).await?.result().await,
        }
    }

    /// Encodes a call, so that it can be kept and submitted later, here or elsewhere.
    ///
    /// # Errors
    ///
    /// As [`Engine::submit`], as far as the store of arguments and the call itself are the cause.
    pub async fn encode<T: Task>(&self, call: Call<T>) -> Result<EncodedCall> {
        let mut uploads = Uploads::default();
        let call = self.encoded(self.known(T::definition().name)?, call, &mut uploads)?;
        uploads.send(self).await?;
        Ok(call)
    }

    /// The digest of a call's task and arguments: by their values, or by their bytes where a value has no JSON form.
    ///
    /// # Errors
    ///
    /// An argument can't be encoded.
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

    /// Submits calls under ids that their caller has chosen: repeating one changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`], when nothing is known of any call; each call's own error is in its place.
    ///
    /// # Cancel safety
    ///
    /// A dropped submit may or may not have taken effect, and can be repeated.
    pub async fn submit_encoded(&self, calls: Vec<(InvocationId, EncodedCall)>) -> Result<Vec<Result<InvocationId>>> {
        let mut results = Vec::with_capacity(calls.len());
        let mut calls = calls.into_iter().peekable();
        while calls.peek().is_some() {
            let batch: Vec<_> = calls.by_ref().take(BATCH).map(|(id, call)| self.restored(id, call)).collect();
            let submissions = batch.iter().flatten().map(|(_, submission)| submission.clone()).collect();
            let mut replies = self.lane().submit(submissions).await?.into_iter();
            for prepared in batch {
                results.push(match prepared {
                    Ok((task, submission)) => self.settled(task, &submission, replies.next()).await.map(|(id, _)| id),
                    Err(error) => Err(error),
                });
            }
        }
        Ok(results)
    }

    fn restored(&self, id: InvocationId, call: EncodedCall) -> Result<(&Arc<RegisteredTask>, Submission)> {
        let task = self.known(call.task.as_str())?;
        Ok((task, self.submission(task, id, call)?))
    }

    pub(crate) fn known(&self, name: &str) -> Result<&Arc<RegisteredTask>> {
        self.tasks().find(name).ok_or_else(|| self.tasks().unknown(name))
    }

    fn prepared<T: Task>(&self, task: &RegisteredTask, call: Call<T>, uploads: &mut Uploads) -> Result<Submission> {
        let call = self.encoded(task, call, uploads)?;
        self.submission(task, InvocationId::new(), call)
    }

    fn encoded<T: Task>(&self, task: &RegisteredTask, call: Call<T>, uploads: &mut Uploads) -> Result<EncodedCall> {
        let Call { arguments, options } = call;
        options.check()?;
        let serializer = &*self.parts().serializer;
        let mut sink = ArgumentSink::new(serializer, wants_identity(task, &options));
        arguments.encode(&mut sink)?;
        drop(arguments);
        if self.settings().reads_back_arguments {
            sink.read_back::<T::Arguments>(self.parts().serializer.clone())?;
        }
        self.placed(task, sink, serializer.name(), options, uploads)
    }

    /// The call of encoded arguments, with the large ones moved out of it.
    pub(crate) fn placed(
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
            let placed = self.contents().place(value, may_cache(task, &options, name));
            let (value, upload) = placed.map_err(|error| error.with("argument", name))?;
            uploads.add(upload, options.due, self);
            arguments.push(Argument { name: name.into(), value });
        }
        let (task, serializer) = (task.id.clone(), serializer.into());
        Ok(EncodedCall { task, arguments, serializer, identity, options })
    }

    pub(crate) fn submission(&self, task: &RegisteredTask, id: InvocationId, call: EncodedCall) -> Result<Submission> {
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
        let caller = TaskContext::try_current().filter(|context| context.engine().is_same(self));
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
            trace: self.trace(options.trace.as_ref(), caller.as_ref()),
            created_at: self.parts().clock.now(),
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

    async fn accepted<T: Task>(
        &self,
        task: &RegisteredTask,
        submission: &Submission,
        reply: Option<pynenc_core::Result<Registered>>,
    ) -> Result<Invocation<T>> {
        let (id, reuse) = self.settled(task, submission, reply).await?;
        Ok(Invocation::new(self.clone(), id, reuse))
    }

    /// The invocation that stands for a submission, and what it was before.
    pub(crate) async fn settled(
        &self,
        task: &RegisteredTask,
        submission: &Submission,
        reply: Option<pynenc_core::Result<Registered>>,
    ) -> Result<(InvocationId, Option<Reuse>)> {
        match reply.ok_or_else(|| pynenc_core::Error::unavailable("the submit had no reply"))?? {
            Registered::New(tracked) => {
                self.tell_submitted(&submission.record);
                self.changed(&Changed { id: tracked.id, task: &tracked.task, record: &tracked.record });
                self.run_inline(tracked.id).await?;
                Ok((tracked.id, None))
            }
            Registered::Existing { id, same_arguments } => {
                Ok((id, Some(self.reused(task, submission, id, same_arguments).await?)))
            }
            Registered::Conflict { id: existing } => Err(conflict(submission, existing)),
        }
    }

    async fn reused(
        &self,
        task: &RegisteredTask,
        submission: &Submission,
        existing: InvocationId,
        same_arguments: bool,
    ) -> Result<Reuse> {
        let diff = if same_arguments { Vec::new() } else { self.difference(submission, existing).await? };
        if !same_arguments && task.options.on_diff_non_key_args_raise {
            return Err(Error::ArgumentsDiffer { existing, diff });
        }
        Ok(Reuse { diff })
    }

    /// What differs between a call and the invocation that stands for it, as far as that one is still there.
    async fn difference(&self, submission: &Submission, existing: InvocationId) -> Result<Vec<ArgumentDiff>> {
        let Some(record) = self.parts().state.invocations(&[existing]).await?.pop().flatten() else {
            return Ok(Vec::new());
        };
        Ok(self.compared(&submission.record.arguments, &submission.record.serializer, &record))
    }

    /// Tells how a call differs from the one that an invocation was made of.
    pub fn differs(&self, call: &EncodedCall, record: &InvocationRecord) -> Vec<ArgumentDiff> {
        self.compared(&call.arguments, &call.serializer, record)
    }

    fn compared(&self, arguments: &[Argument], serializer: &str, record: &InvocationRecord) -> Vec<ArgumentDiff> {
        let mut diff = Vec::new();
        for called in arguments {
            let found = record.arguments.iter().find(|argument| argument.name == called.name);
            let shown = found.map(|argument| self.shown(&argument.value, &record.serializer));
            let called_with = self.shown(&called.value, serializer);
            if shown.as_ref() != Some(&called_with) {
                let existing = shown.map_or_else(|| "nothing".to_owned(), |shown| shown.to_string());
                diff.push(ArgumentDiff { name: called.name.to_string(), existing, called: called_with.to_string() });
            }
        }
        diff
    }

    /// An argument as it is compared and shown: by its value, so that the order of a map makes no difference.
    pub(crate) fn shown(&self, value: &Payload, serializer: &str) -> Shown {
        match value {
            Payload::External { digest, size } => Shown::Content { digest: *digest, size: *size },
            Payload::Inline(bytes) => {
                let value = self.reader(serializer).and_then(|reader| reader.decode_as(bytes));
                let content = |_| Shown::Content { digest: Digest::of(bytes), size: bytes.len() as u64 };
                value.map_or_else(content, Shown::Value)
            }
        }
    }
}

type Replies = pynenc_core::Result<Vec<pynenc_core::Result<Registered>>>;

/// A batch on its way.
struct Trip {
    batch: Vec<Submission>,
    replies: MaybeDone<BoxFuture<'static, Replies>>,
}

impl Trip {
    /// Sends the batch, and doesn't wait until it has arrived.
    async fn depart(lane: &Arc<dyn Lane>, batch: Vec<Submission>) -> Self {
        let (lane, submissions) = (lane.clone(), batch.clone());
        let mut replies = maybe_done(async move { lane.submit(submissions).await }.boxed());
        poll_fn(|cx| Poll::Ready(replies.poll_unpin(cx).is_ready())).await;
        Self { batch, replies }
    }

    async fn arrive(mut self) -> pynenc_core::Result<(Vec<Submission>, Vec<pynenc_core::Result<Registered>>)> {
        (&mut self.replies).await;
        let replies = Pin::new(&mut self.replies).take_output().expect("it is done, and taken once");
        Ok((self.batch, replies?))
    }
}

fn only(replies: Vec<pynenc_core::Result<Registered>>) -> pynenc_core::Result<Registered> {
    replies.into_iter().next().unwrap_or_else(|| Err(pynenc_core::Error::unavailable("the submit had no reply")))
}

/// What of an argument can be compared and shown.
#[derive(Debug, PartialEq)]
pub(crate) enum Shown {
    Value(serde_json::Value),
    /// It isn't in the call, or has no JSON form.
    Content {
        digest: Digest,
        size: u64,
    },
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{value}"),
            Self::Content { digest, size } => write!(f, "{size} bytes with the digest {digest}"),
        }
    }
}

/// What has to be in the argument cache before its calls are accepted.
#[derive(Default)]
pub(crate) struct Uploads {
    contents: Vec<Upload>,
    /// How long the last of the calls waits for its time: content is kept as much longer.
    wait: Duration,
}

impl Uploads {
    fn add(&mut self, upload: Option<Upload>, due: Option<Due>, engine: &Engine) {
        let Some(upload) = upload else { return };
        let now = engine.parts().clock.now();
        self.wait = self.wait.max(due.map_or(Duration::ZERO, |due| due.at(now).since(now)));
        self.contents.push(upload);
    }

    pub(crate) async fn send(self, engine: &Engine) -> Result<()> {
        if self.contents.is_empty() {
            return Ok(());
        }
        Ok(engine.contents().send(self.contents, self.wait).await?)
    }
}

/// A call joins its caller's workflow, unless its task always founds one.
fn workflow(task: &RegisteredTask, id: InvocationId, caller: Option<&TaskContext>) -> Option<WorkflowIdentity> {
    let joined = caller.and_then(TaskContext::workflow);
    if task.options.force_new_workflow {
        return Some(WorkflowIdentity { id, parent: joined.map(|workflow| workflow.id) });
    }
    joined
}

/// Whether something is decided by what makes the arguments of calls equal.
pub(crate) fn wants_identity(task: &RegisteredTask, options: &CallOptions) -> bool {
    task.options.registration_concurrency != Concurrency::Disabled
        || task.options.running_concurrency != Concurrency::Disabled
        || options.idempotency_key.is_some()
}

fn without_identity(task: &RegisteredTask) -> Error {
    let message = "the call was encoded where its task has no concurrency control, and here it has; encode it again";
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
    let when_blocked = if parks { WhenBlocked::Park } else { WhenBlocked::End };
    RunningKey { key, limit: task.options.running_limit, when_blocked }
}

fn conflict(submission: &Submission, existing: InvocationId) -> Error {
    let key = submission.registration.idempotency.as_ref().map(|key| key.key.to_string()).unwrap_or_default();
    Error::IdempotencyConflict { key, existing }
}
