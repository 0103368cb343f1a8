//! Runs one attempt: decodes the arguments and runs the task function within its limits.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use pynenc_core::orchestrator::{Tracked, TransitionReply};
use pynenc_core::status::{By, Change};
use pynenc_core::{ErrorKind, Reason, Status};
use tokio::sync::oneshot;
use tracing::Instrument;

use super::outcome::AttemptOutcome;
use super::resume_caller::ResultSender;
use super::settle::{decide, settle};
use super::state::Worker;
use super::unknown_tasks::unknown_task;
use crate::attempt::{Attempt, Halt, Interrupt};
use crate::backoff::store_backoff;
use crate::blocking_threads::BlockingThread;
use crate::context::TaskContext;
use crate::engine::Engine;
use crate::metrics::RunTimer;
use crate::task::{ArgumentSource, AsyncFunction, BlockingFunction, Finished, RegisteredTask, TaskFunction};
use crate::trace_propagation::AttemptEnd;

type Caught = Result<Finished, Box<dyn Any + Send>>;

impl Worker {
    /// Runs an attempt until its task function finishes, and settles it.
    ///
    /// # Cancel safety
    ///
    /// If the run is dropped, the next [`Worker::compare_with_store`] gives the invocation back.
    pub fn run(self: Arc<Self>, engine: Engine, attempt: Arc<Attempt>) -> impl Future<Output = ()> + Send {
        self.run_for(engine, attempt, None)
    }

    /// Runs an attempt as [`Worker::run`] does. If a caller on this runner waits for its result, the caller is resumed in
    /// the round trip that settles the attempt.
    pub(crate) async fn run_for(self: Arc<Self>, engine: Engine, attempt: Arc<Attempt>, caller: Option<ResultSender>) {
        engine.start_trace(&attempt);
        let span = engine.span_of(&attempt);
        if attempt.trace.get().is_none() {
            return self.run_in_span(engine, attempt, caller).instrument(span).await;
        }
        let traced = attempt.clone();
        // Boxed, because the future of an attempt without a trace has to stay small.
        let mut run = Box::pin(self.run_in_span(engine, attempt, caller).instrument(span));
        poll_fn(|cx| traced.in_trace(|| run.as_mut().poll(cx))).await;
    }

    async fn run_in_span(self: Arc<Self>, engine: Engine, attempt: Arc<Attempt>, mut caller: Option<ResultSender>) {
        let _held = HeldGuard { worker: &self, attempt: &attempt };
        attempt.take_slot().await;
        // A plain task function is reported later, when it has a thread.
        if !attempt.is_blocking && !report_running(&engine, &attempt).await {
            return;
        }
        engine.log_started(&attempt);
        let outcome = perform(&self, &engine, &attempt).await;
        let outcome = match outcome {
            AttemptOutcome::Unrunnable { reason: Reason::CorruptRecord, .. } => {
                Box::pin(with_record_read_again(&engine, &attempt, outcome)).await
            }
            outcome => outcome,
        };
        attempt.leave_slot();
        let mut decision = decide(&engine, &attempt, outcome).await;
        if let Some(decision) = &mut decision {
            settle(&engine, &self.unknown_tasks, &attempt, decision, &mut caller).await;
        }
        attempt.release_slot();
    }
}

/// Makes the transition to `running`, unless the claim did. Returns whether the attempt may run.
async fn report_running(engine: &Engine, attempt: &Arc<Attempt>) -> bool {
    if attempt.tracked.record.status == Status::Running {
        return true;
    }
    let change = Change::new(Status::Running, By::Owner(attempt.runner), Reason::Started);
    let reply = Box::pin(attempt.change(engine, change)).await;
    matches!(reply, Ok(TransitionReply::Done { .. } | TransitionReply::AlreadyMine(_)))
}

/// Releases the worker's hold on an invocation when the run is over or dropped.
struct HeldGuard<'a> {
    worker: &'a Worker,
    attempt: &'a Attempt,
}

impl Drop for HeldGuard<'_> {
    fn drop(&mut self) {
        self.worker.release(self.attempt);
        self.attempt.hooks.clear();
        self.attempt.end_trace(&AttemptEnd::Lost);
    }
}

async fn perform(worker: &Arc<Worker>, engine: &Engine, attempt: &Arc<Attempt>) -> AttemptOutcome {
    let Some(task) = engine.tasks().find(attempt.tracked.task.as_str()) else {
        return unknown_task(engine, &worker.unknown_tasks, &attempt.tracked).await;
    };
    if attempt.is_missing {
        let detail = "the record is missing from the state backend".to_owned();
        return AttemptOutcome::Unrunnable { reason: Reason::CorruptRecord, detail };
    }
    let source = match source(engine, attempt).await {
        Ok(source) => source,
        Err(outcome) => return outcome,
    };
    match attempt.interruption() {
        // Interrupted before it started, while it waited for its slot or its arguments.
        Some(interrupt) => interrupted(interrupt, Duration::ZERO, attempt),
        None => run_function(worker, engine, attempt, task, source).await,
    }
}

/// Reads a missing or corrupt record again, because it may have been garbled in transit. If it differs now, the
/// invocation is given back instead of failed.
async fn with_record_read_again(engine: &Engine, attempt: &Attempt, outcome: AttemptOutcome) -> AttemptOutcome {
    let mut tries = 0;
    loop {
        match engine.parts().state.invocations(&[attempt.id()]).await {
            Ok(records) => {
                let is_another = records.into_iter().flatten().any(|record| record != attempt.record);
                return if is_another { AttemptOutcome::GivenBack { reason: Reason::ClaimLost } } else { outcome };
            }
            Err(error) if error.blames_store() => {
                if let Err(interrupted) = sleep_unless_interrupted(engine, attempt, store_backoff(tries)).await {
                    return interrupted;
                }
                tries += 1;
            }
            Err(_) => return outcome,
        }
    }
}

async fn source(engine: &Engine, attempt: &Attempt) -> Result<ArgumentSource, AttemptOutcome> {
    let mut tries = 0;
    loop {
        match engine.shared_arguments(&attempt.record).await {
            Ok(source) => return Ok(source),
            Err(error) if error.blames_store() => {
                sleep_unless_interrupted(engine, attempt, store_backoff(tries)).await?;
                tries += 1;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(AttemptOutcome::unrunnable(Reason::ArgumentsUnavailable, &error));
            }
            Err(error) => return Err(AttemptOutcome::unrunnable(Reason::CorruptRecord, &error)),
        }
    }
}

/// Waits for the pause, unless the attempt is interrupted.
async fn sleep_unless_interrupted(engine: &Engine, attempt: &Attempt, pause: Duration) -> Result<(), AttemptOutcome> {
    tokio::select! {
        biased;
        interrupt = attempt.interrupted() => Err(interrupted(interrupt, Duration::ZERO, attempt)),
        () = engine.parts().clock.sleep(pause) => Ok(()),
    }
}

async fn run_function(
    worker: &Arc<Worker>,
    engine: &Engine,
    attempt: &Arc<Attempt>,
    task: &RegisteredTask,
    source: ArgumentSource,
) -> AttemptOutcome {
    let context = TaskContext::new(engine.clone(), attempt.clone(), worker.clone());
    let limit = attempt.record.timeout.or(task.options.timeout);
    match task.definition.function {
        TaskFunction::Async(run) => run_async(engine, attempt, limit, &context, run, source).await,
        TaskFunction::Blocking(run) => Box::pin(run_on_thread(engine, attempt, limit, context, run, source)).await,
    }
}

async fn run_async(
    engine: &Engine,
    attempt: &Arc<Attempt>,
    limit: Option<Duration>,
    context: &TaskContext,
    run: AsyncFunction,
    source: ArgumentSource,
) -> AttemptOutcome {
    let _timer = start_timer(engine, attempt);
    let function = context.scope(async move { run(source).await });
    let mut function = AssertUnwindSafe(function).catch_unwind().boxed();
    let result = tokio::select! {
        biased;
        finished = &mut function => Ok(finished),
        interrupt = attempt.interrupted() => Err(interrupt),
        () = time_limit(engine, attempt, limit) => Err(Interrupt::Timeout),
    };
    drop_quietly(function);
    concluded(attempt, limit, result)
}

/// Counts the start of a task function, and measures how long it runs.
fn start_timer(engine: &Engine, attempt: &Attempt) -> RunTimer {
    let Some(metrics) = engine.metrics() else { return RunTimer::default() };
    let Tracked { task, queue, record, .. } = &attempt.tracked;
    // A claim that runs the invocation at once has counted its start already.
    let is_first = record.starts == u32::from(record.status == Status::Running);
    let due = attempt.record.due.unwrap_or_default().max(attempt.record.created_at);
    let waited = is_first.then(|| engine.parts().clock.now().since(due));
    metrics.started(task, queue, waited)
}

/// Runs a plain (non-`async`) task function. The function and its time limit start when a thread is free.
async fn run_on_thread(
    engine: &Engine,
    attempt: &Arc<Attempt>,
    limit: Option<Duration>,
    context: TaskContext,
    run: BlockingFunction,
    source: ArgumentSource,
) -> AttemptOutcome {
    let span = tracing::Span::current();
    let traced = attempt.clone();
    let function = move || {
        let run = || context.sync_scope(|| catch_unwind(AssertUnwindSafe(|| run(source))));
        traced.in_trace(|| span.in_scope(run))
    };
    let (let_begin, may_begin) = oneshot::channel();
    let is_reported = attempt.tracked.record.status == Status::Running;
    let waiting = attempt.clone();
    let may_begin = move || (is_reported || may_begin.blocking_recv().is_ok()) && !waiting.is_interrupted();
    let mut thread = engine.blocking_threads().run(may_begin, function);
    tokio::select! {
        biased;
        () = thread.started() => {}
        interrupt = attempt.interrupted() => return concluded(attempt, limit, Err(interrupt)),
    }
    if !report_running(engine, attempt).await {
        return AttemptOutcome::Lost;
    }
    let _timer = start_timer(engine, attempt);
    // Ignored: if the claim reported the attempt as running, the thread doesn't wait for this.
    let _ = let_begin.send(());
    let result = tokio::select! {
        biased;
        result = thread_result(attempt, &mut thread) => result,
        interrupt = attempt.interrupted() => Err(interrupt),
        () = time_limit(engine, attempt, limit) => Err(Interrupt::Timeout),
    };
    let result = match result {
        Err(Interrupt::Cancel) => return_after_cancel(attempt, &mut thread).await,
        // The function may have returned because it saw the cancel before this future did.
        Ok(_) if attempt.interruption() == Some(Interrupt::Cancel) => Err(Interrupt::Cancel),
        result => result,
    };
    if result.is_err()
        && let Some(abandoned) = thread.abandon()
    {
        tracing::warn!(
            abandoned,
            "a plain task function occupies its thread after a timeout or a cancel; it should check `is_cancelled`"
        );
    }
    concluded(attempt, limit, result)
}

/// Waits for the result of a task function on a thread.
async fn thread_result(attempt: &Attempt, thread: &mut BlockingThread<Caught>) -> Result<Caught, Interrupt> {
    match (&mut thread.result).await {
        Ok(Some(caught)) => Ok(caught),
        Ok(None) => Err(attempt.interruption().unwrap_or(Interrupt::Shutdown)),
        Err(lost) if lost.is_panic() => Ok(Err(lost.into_panic())),
        Err(_) => Err(Interrupt::Shutdown),
    }
}

fn concluded(attempt: &Attempt, limit: Option<Duration>, result: Result<Caught, Interrupt>) -> AttemptOutcome {
    match result {
        Ok(finished) => finished_or_panicked(finished, attempt),
        Err(interrupt) => {
            attempt.interrupt(interrupt);
            interrupted(interrupt, limit.unwrap_or_default(), attempt)
        }
    }
}

/// Waits until a cancelled plain task function returns, because its thread can't be stopped. Its result is dropped.
async fn return_after_cancel(attempt: &Attempt, thread: &mut BlockingThread<Caught>) -> Result<Caught, Interrupt> {
    tokio::select! {
        biased;
        _ = thread_result(attempt, thread) => Err(Interrupt::Cancel),
        interrupt = attempt.interrupted_beyond(Some(Interrupt::Cancel)) => Err(interrupt),
    }
}

async fn time_limit(engine: &Engine, attempt: &Attempt, limit: Option<Duration>) {
    match limit {
        Some(limit) => Box::pin(attempt.hooks.busy_for(&*engine.parts().clock, limit)).await,
        None => std::future::pending().await,
    }
}

/// Drops a value and catches a panic of its destructor, so that the panic doesn't change the outcome.
fn drop_quietly<T>(value: T) {
    if catch_unwind(AssertUnwindSafe(|| drop(value))).is_err() {
        tracing::error!("a value of a task function panicked while it was dropped");
    }
}

fn finished_or_panicked(caught: Caught, attempt: &Attempt) -> AttemptOutcome {
    match caught {
        Ok(Ok(value)) => match attempt.hooks.checked_return() {
            Some(halt) => AttemptOutcome::halted(halt, attempt.number()),
            None => AttemptOutcome::Returned(value),
        },
        Ok(Err(failure)) => AttemptOutcome::of_failure(failure, &attempt.tracked.task, attempt.number()),
        Err(panic) => AttemptOutcome::panicked(panic_message(panic), attempt.number()),
    }
}

fn panic_message(panic: Box<dyn Any + Send>) -> String {
    let message = match panic.downcast_ref::<&str>() {
        Some(text) => (*text).to_owned(),
        None => panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic without a message".to_owned()),
    };
    drop_quietly(panic);
    message
}

fn interrupted(interrupt: Interrupt, limit: Duration, attempt: &Attempt) -> AttemptOutcome {
    match interrupt {
        Interrupt::Lost => AttemptOutcome::Lost,
        // A halt without a cause suspends the invocation, so that it continues elsewhere.
        Interrupt::Halt => {
            AttemptOutcome::halted(attempt.hooks.halted().unwrap_or(Halt::Suspend(None)), attempt.number())
        }
        Interrupt::Cancel => AttemptOutcome::Cancelled,
        Interrupt::Shutdown => AttemptOutcome::GivenBack { reason: Reason::Shutdown },
        Interrupt::Timeout => AttemptOutcome::timed_out(limit, attempt.number()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_run<F: Future<Output = ()>>(_: fn(Arc<Worker>, Engine, Arc<Attempt>) -> F) -> usize {
        size_of::<F>()
    }

    /// Each attempt allocates, moves and frees its whole future. Rare parts are boxed to keep the future small.
    #[test]
    fn the_future_of_an_attempt_is_small() {
        let size = size_of_run(Worker::run);
        assert!(size <= 1024, "{size} bytes");
    }
}
