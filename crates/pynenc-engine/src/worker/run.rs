//! One attempt: decode, run the body within its limits, settle.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use pynenc_core::cached::Encoded;
use pynenc_core::orchestrator::TransitionReply;
use pynenc_core::record::{Outcome, Payload, TaskError};
use pynenc_core::serializer::JsonSerializer;
use pynenc_core::state_backend::OutcomeWrite;
use pynenc_core::status::{By, Change};
use pynenc_core::{ErrorKind, Reason, Serializer, Status};
use tokio::sync::oneshot;
use tracing::Instrument;

use super::attempt::{Attempt, Interrupt};
use super::body_threads::BodyThread;
use super::ending::{Ending, after_failure};
use super::guided::Halt;
use super::unknown_tasks::unknown_task;
use super::{Worker, pause_before};
use crate::arguments::ArgumentSource;
use crate::content::Upload;
use crate::context::TaskContext;
use crate::engine::Engine;
use crate::extension::Changed;
use crate::returns::Finished;
use crate::task::{AsyncBody, BlockingBody, Body, RegisteredTask};
use crate::telling::tell_ended;

/// A shorter error isn't worth a look at whether it is large.
const LARGE_ERROR: usize = 1024;

type Caught = Result<Finished, Box<dyn Any + Send>>;

impl Worker {
    /// Runs an attempt to its end and settles it.
    ///
    /// # Cancel safety
    ///
    /// A dropped run is given back by the next [`Worker::compare_with_store`].
    pub async fn run(self: Arc<Self>, engine: Engine, attempt: Arc<Attempt>) {
        let span = engine.span_of(&attempt);
        self.run_in_span(engine, attempt).instrument(span).await;
    }

    async fn run_in_span(self: Arc<Self>, engine: Engine, attempt: Arc<Attempt>) {
        let _held = HeldGuard { worker: &self, attempt: &attempt };
        if !self.enter(&engine, &attempt).await {
            return;
        }
        engine.tell_started(&attempt);
        let ending = perform(&engine, &attempt).await;
        let ending = Box::pin(with_record_read_again(&engine, &attempt, ending)).await;
        attempt.leave_slot();
        let mut settling = resolve(&engine, &attempt, ending).await;
        if let Some(settling) = &mut settling {
            settle(&engine, &attempt, settling).await;
        }
        attempt.release();
    }

    /// Waits for the slot. One whose claim hasn't said so already says only now that it runs, or, if it needs a thread, when
    /// it has one.
    async fn enter(&self, engine: &Engine, attempt: &Arc<Attempt>) -> bool {
        attempt.enter().await;
        attempt.is_blocking() || says_that_it_runs(engine, attempt).await
    }
}

/// Says that the body runs, unless the claim did. Tells whether it may.
async fn says_that_it_runs(engine: &Engine, attempt: &Arc<Attempt>) -> bool {
    if attempt.tracked.record.status == Status::Running {
        return true;
    }
    let change = Change::new(Status::Running, By::Owner(attempt.runner), Reason::Started);
    let reply = Box::pin(attempt.change(engine, change)).await;
    matches!(reply, Ok(TransitionReply::Done { .. } | TransitionReply::AlreadyMine(_)))
}

/// Lets go of an invocation, whatever becomes of its run.
struct HeldGuard<'a> {
    worker: &'a Worker,
    attempt: &'a Attempt,
}

impl Drop for HeldGuard<'_> {
    fn drop(&mut self) {
        self.worker.let_go(self.attempt);
        self.attempt.guided.clear();
    }
}

async fn perform(engine: &Engine, attempt: &Arc<Attempt>) -> Ending {
    let Some(task) = engine.tasks().find(attempt.tracked.task.as_str()) else {
        return unknown_task(engine, attempt).await;
    };
    if attempt.is_missing {
        let detail = "the record is missing from the state backend".to_owned();
        return Ending::Unrunnable { reason: Reason::CorruptRecord, detail };
    }
    let source = match source(engine, attempt).await {
        Ok(source) => source,
        Err(ending) => return ending,
    };
    match attempt.interruption() {
        // Told to end before it began, while it waited for its slot or its arguments.
        Some(interrupt) => interrupted(interrupt, Duration::ZERO, attempt),
        None => run_body(engine, attempt, task, source).await,
    }
}

/// A record that is missing or corrupt may have been garbled on its way: the invocation isn't failed for it, but given
/// back, if it reads otherwise now.
async fn with_record_read_again(engine: &Engine, attempt: &Attempt, ending: Ending) -> Ending {
    if !matches!(ending, Ending::Unrunnable { reason: Reason::CorruptRecord, .. }) {
        return ending;
    }
    let mut tries = 0;
    loop {
        match engine.parts().state.invocations(&[attempt.id()]).await {
            Ok(records) => {
                let is_another = records.into_iter().flatten().any(|record| record != attempt.record);
                return if is_another { Ending::GivenBack { reason: Reason::ClaimLost } } else { ending };
            }
            Err(error) if error.blames_store() => {
                if let Err(interrupted) = within(engine, attempt, pause_before(tries)).await {
                    return interrupted;
                }
                tries += 1;
            }
            Err(_) => return ending,
        }
    }
}

async fn source(engine: &Engine, attempt: &Attempt) -> Result<ArgumentSource, Ending> {
    let mut tries = 0;
    loop {
        match engine.arguments(&attempt.record).await {
            Ok(source) => return Ok(source),
            Err(error) if error.blames_store() => {
                within(engine, attempt, pause_before(tries)).await?;
                tries += 1;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Ending::unrunnable(Reason::ArgumentsUnavailable, &error));
            }
            Err(error) => return Err(Ending::unrunnable(Reason::CorruptRecord, &error)),
        }
    }
}

/// Waits, unless the attempt is told to end.
async fn within(engine: &Engine, attempt: &Attempt, pause: Duration) -> Result<(), Ending> {
    tokio::select! {
        biased;
        interrupt = attempt.interrupted() => Err(interrupted(interrupt, Duration::ZERO, attempt)),
        () = engine.parts().clock.sleep(pause) => Ok(()),
    }
}

async fn run_body(engine: &Engine, attempt: &Arc<Attempt>, task: &RegisteredTask, source: ArgumentSource) -> Ending {
    let context = TaskContext::new(engine.clone(), attempt.clone());
    let limit = attempt.record.timeout.or(task.options.timeout);
    match task.definition.body {
        Body::Async(run) => run_async(engine, attempt, limit, context, run, source).await,
        Body::Blocking(run) => Box::pin(run_on_thread(engine, attempt, limit, context, run, source)).await,
    }
}

async fn run_async(
    engine: &Engine,
    attempt: &Arc<Attempt>,
    limit: Option<Duration>,
    context: TaskContext,
    run: AsyncBody,
    source: ArgumentSource,
) -> Ending {
    let inner = context.clone();
    let body = context.scope(async move { run(inner, source).await });
    let mut body = AssertUnwindSafe(body).catch_unwind().boxed();
    let ended = tokio::select! {
        biased;
        finished = &mut body => Ok(finished),
        interrupt = attempt.interrupted() => Err(interrupt),
        () = time_limit(engine, attempt, limit) => Err(Interrupt::Timeout),
    };
    drop_quietly(body);
    concluded(attempt, limit, ended)
}

/// Runs a plain body. It begins, with its time limit, when there is a thread for it.
async fn run_on_thread(
    engine: &Engine,
    attempt: &Arc<Attempt>,
    limit: Option<Duration>,
    context: TaskContext,
    run: BlockingBody,
    source: ArgumentSource,
) -> Ending {
    let (span, inner) = (tracing::Span::current(), context.clone());
    let body = move || span.in_scope(|| context.sync_scope(|| catch_unwind(AssertUnwindSafe(|| run(inner, source)))));
    let (let_begin, may_begin) = oneshot::channel();
    let is_said = attempt.tracked.record.status == Status::Running;
    let waiting = attempt.clone();
    let may_begin = move || (is_said || may_begin.blocking_recv().is_ok()) && !waiting.is_interrupted();
    let mut thread = engine.body_threads().run(may_begin, body);
    tokio::select! {
        biased;
        () = thread.begun() => {}
        interrupt = attempt.interrupted() => return concluded(attempt, limit, Err(interrupt)),
    }
    if !says_that_it_runs(engine, attempt).await {
        return Ending::Lost;
    }
    // Where it waits for nothing, nobody receives that.
    let _ = let_begin.send(());
    let ended = tokio::select! {
        biased;
        finished = ended(attempt, &mut thread) => finished,
        interrupt = attempt.interrupted() => Err(interrupt),
        () = time_limit(engine, attempt, limit) => Err(Interrupt::Timeout),
    };
    let ended = match ended {
        Err(Interrupt::Cancel) => last_word(attempt, &mut thread).await,
        // It may have seen the wish, and returned for it, before this task did.
        Ok(_) if attempt.interruption() == Some(Interrupt::Cancel) => Err(Interrupt::Cancel),
        ended => ended,
    };
    if ended.is_err()
        && let Some(abandoned) = thread.abandon()
    {
        tracing::warn!(
            abandoned,
            "a plain body goes on after its end and keeps its thread; it should look at `is_cancelled`"
        );
    }
    concluded(attempt, limit, ended)
}

/// Waits for the result of the body on a thread.
async fn ended(attempt: &Attempt, thread: &mut BodyThread<Caught>) -> Result<Caught, Interrupt> {
    match (&mut thread.ended).await {
        Ok(Some(caught)) => Ok(caught),
        Ok(None) => Err(attempt.interruption().unwrap_or(Interrupt::Shutdown)),
        Err(lost) if lost.is_panic() => Ok(Err(lost.into_panic())),
        Err(_) => Err(Interrupt::Shutdown),
    }
}

fn concluded(attempt: &Attempt, limit: Option<Duration>, ended: Result<Caught, Interrupt>) -> Ending {
    match ended {
        Ok(finished) => finished_or_panicked(finished, attempt),
        Err(interrupt) => {
            attempt.tell(interrupt);
            interrupted(interrupt, limit.unwrap_or_default(), attempt)
        }
    }
}

/// A thread can't be stopped: what a plain body was asked to end counts as cancelled when it returns.
async fn last_word(attempt: &Attempt, thread: &mut BodyThread<Caught>) -> Result<Caught, Interrupt> {
    tokio::select! {
        biased;
        _ = ended(attempt, thread) => Err(Interrupt::Cancel),
        interrupt = attempt.interrupted_beyond(Interrupt::Cancel) => Err(interrupt),
    }
}

async fn time_limit(engine: &Engine, attempt: &Attempt, limit: Option<Duration>) {
    match limit {
        Some(limit) => Box::pin(attempt.guided.worked(&*engine.parts().clock, limit)).await,
        None => std::future::pending().await,
    }
}

/// A destructor that panics fails nothing but itself.
fn drop_quietly<F: Future>(body: F) {
    if catch_unwind(AssertUnwindSafe(|| drop(body))).is_err() {
        tracing::error!("a value of a task's body panicked while it was dropped");
    }
}

fn finished_or_panicked(caught: Caught, attempt: &Attempt) -> Ending {
    match caught {
        Ok(Ok(value)) => match attempt.guided.judged() {
            Some(halt) => Ending::halted(halt, attempt.number()),
            None => Ending::Value(value),
        },
        Ok(Err(failure)) => Ending::of_failure(failure, &attempt.tracked.task, attempt.number()),
        Err(panic) => Ending::panicked(panic_message(panic), attempt.number()),
    }
}

fn panic_message(panic: Box<dyn Any + Send>) -> String {
    let message = match panic.downcast_ref::<&str>() {
        Some(text) => (*text).to_owned(),
        None => panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic without a message".to_owned()),
    };
    drop_quietly(std::future::ready(panic));
    message
}

fn interrupted(interrupt: Interrupt, limit: Duration, attempt: &Attempt) -> Ending {
    match interrupt {
        Interrupt::Lost => Ending::Lost,
        // One that has told nothing but that it is halted goes on elsewhere.
        Interrupt::Halt => Ending::halted(attempt.guided.halted().unwrap_or(Halt::PutAside(None)), attempt.number()),
        Interrupt::Cancel => Ending::Cancelled,
        Interrupt::Shutdown => Ending::GivenBack { reason: Reason::Shutdown },
        Interrupt::Timeout => Ending::timed_out(limit, attempt.number()),
    }
}

/// What is to be written for an ending.
type Settling = (Option<OutcomeWrite>, Change);

/// Settles until the store has accepted it, or said that another owns the invocation.
async fn settle(engine: &Engine, attempt: &Arc<Attempt>, settling: &mut Settling) {
    let mut tries = 0;
    loop {
        let (outcome, change) = &*settling;
        let requeue = change.reason != Reason::UnknownTask;
        match attempt.settle(engine, outcome.as_ref(), change, requeue).await {
            Ok(reply) => {
                if is_unknown_task(&reply) {
                    Box::pin(hint_later(engine, attempt)).await;
                }
                return settled(engine, attempt, reply, change);
            }
            Err(error) if error.blames_store() => {
                if tries == 0 {
                    tracing::warn!(%error, "the outcome waits for its store");
                }
                if attempt.interruption() == Some(Interrupt::Lost) {
                    return;
                }
                engine.parts().clock.sleep(pause_before(tries)).await;
                tries += 1;
            }
            Err(error) if outcome.is_some() && change.reason != Reason::ResultRejected => {
                let rejected = Ending::rejected(&error, attempt.number());
                let Some(rejected) = Box::pin(resolve(engine, attempt, rejected)).await else { return };
                *settling = rejected;
            }
            Err(error) => {
                tracing::error!(%error, "can't be settled; recovery will run it again");
                return;
            }
        }
    }
}

fn is_unknown_task(reply: &TransitionReply) -> bool {
    match reply {
        TransitionReply::Done { record, .. } | TransitionReply::AlreadyMine(record) => {
            record.reason == Reason::UnknownTask && record.is_queued()
        }
        TransitionReply::Refused(_) => false,
    }
}

/// Another runner may know the task, or this one's successor.
async fn hint_later(engine: &Engine, attempt: &Attempt) {
    engine.hint(&[attempt.unknown_tasks().hint(&attempt.tracked, engine.parts().clock.now())]).await;
}

fn settled(engine: &Engine, attempt: &Attempt, reply: TransitionReply, change: &Change) {
    match reply {
        TransitionReply::Done { record, .. } | TransitionReply::AlreadyMine(record) => {
            tell_ended(&record, change.detail.as_deref());
            engine.changed(&Changed { id: attempt.id(), task: &attempt.tracked.task, record: &record });
            attempt.settled_as(record);
        }
        TransitionReply::Refused(refusal) => {
            tracing::info!(%refusal, "the claim was lost; what its body did isn't recorded");
        }
    }
}

/// Stores what is large, and decides; `None` where another owns the invocation.
async fn resolve(engine: &Engine, attempt: &Attempt, ending: Ending) -> Option<Settling> {
    let by = By::Owner(attempt.runner);
    let write = |outcome| OutcomeWrite { id: attempt.id(), epoch: attempt.epoch(), outcome };
    Some(match ending {
        Ending::Value(bytes) => match stowed(engine, bytes.into()).await {
            Ok(value) => {
                let outcome = Outcome::Value { value, serializer: attempt.record.serializer.clone() };
                (Some(write(outcome)), Change::new(Status::Success, by, Reason::Returned))
            }
            Err(error) => Box::pin(resolve(engine, attempt, Ending::rejected(&error, attempt.number()))).await?,
        },
        Ending::Failed { error, reason, wish } => {
            let task = engine.tasks().find(attempt.tracked.task.as_str())?;
            let retries = attempt.tracked.record.retries;
            let failure = (error, reason, wish);
            let (error, change) = after_failure(&task.options, &attempt.record, retries, attempt.runner, failure);
            match error {
                Some(error) => (Some(write(Box::pin(error_outcome(engine, attempt, error)).await)), change),
                None => (None, change),
            }
        }
        Ending::Unrunnable { reason, detail } => (None, Change::new(Status::Failed, by, reason).detail(detail)),
        Ending::PutAside(due) => (None, Change { due, ..Change::new(Status::Scheduled, by, Reason::PutAside) }),
        Ending::Cancelled => (None, Change::new(Status::Cancelled, by, Reason::CancelRequested)),
        Ending::GivenBack { reason } => (None, Change::new(Status::Rerouted, by, reason)),
        Ending::Lost => return None,
    })
}

/// An error as an outcome. One that can't be stored is told of in its place.
async fn error_outcome(engine: &Engine, attempt: &Attempt, error: TaskError) -> Outcome {
    let large = match JsonSerializer.encode(&error) {
        Ok(text) if text.len() >= LARGE_ERROR => stowed(engine, text.into()).await,
        _ => return Outcome::Error(error),
    };
    match large {
        Ok(Payload::Inline(_)) => Outcome::Error(error),
        Ok(content) => Outcome::LargeError(content),
        Err(refusal) => Outcome::Error(TaskError {
            kind: error.kind,
            message: format!("the error can't be stored: {refusal}"),
            source_chain: Vec::new(),
            attempt: attempt.number(),
        }),
    }
}

/// The value, moved to the argument cache if it is large.
async fn stowed(engine: &Engine, value: Encoded) -> Result<Payload, pynenc_core::Error> {
    let (payload, upload) = engine.contents().place(value, true)?;
    if let Some(upload) = upload {
        Box::pin(sent(engine, upload)).await?;
    }
    Ok(payload)
}

/// Sends a large value until its store has it, or doesn't want it.
async fn sent(engine: &Engine, upload: Upload) -> Result<(), pynenc_core::Error> {
    let mut tries = 0;
    loop {
        match engine.contents().send(vec![upload.clone()], Duration::ZERO).await {
            Err(error) if error.blames_store() => engine.parts().clock.sleep(pause_before(tries)).await,
            sent => return sent,
        }
        tries += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_run<F: Future<Output = ()>>(_: fn(Arc<Worker>, Engine, Arc<Attempt>) -> F) -> usize {
        size_of::<F>()
    }

    /// Each attempt is allocated, moved and freed with its whole future: what is rare stands in boxes of its own.
    #[test]
    fn an_attempt_is_small() {
        let size = size_of_run(Worker::run);
        assert!(size <= 1024, "{size} bytes");
    }
}
