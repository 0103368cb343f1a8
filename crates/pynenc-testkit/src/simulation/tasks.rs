//! The tasks of the simulation, and the ledger that records their starts.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pynenc_core::InvocationId;
use pynenc_core::task_options::{Backoff, Concurrency, TaskPatch};
use pynenc_engine::task::{ArgumentSink, ArgumentSource, Arguments, Failure, Finished, TaskFunction, finish};
use pynenc_engine::{Call, Error, FromContext, State, Task, TaskContext, TaskDefinition};

use super::faults::yield_to_scheduler;

/// A start of a task function: the invocation and the epoch.
pub(super) type Started = (InvocationId, u64);

/// The recorded starts, outside of every store.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<Vec<Started>>>);

impl Ledger {
    fn note(&self, started: Started) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(started);
    }

    /// The number of starts of an invocation.
    pub(super) fn starts(&self, id: InvocationId) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|(started, _)| *started == id).count()
    }
}

/// The result of each task: its argument doubled, and the epoch. The epoch identifies a result of a lost claim.
pub(super) type Value = (u64, u64);

/// The arguments of every task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    pub(super) key: u64,
    pub(super) n: u64,
}

impl Arguments for Numbers {
    fn encode(&self, sink: &mut ArgumentSink<'_>) -> pynenc_core::Result<()> {
        sink.put("key", &self.key)?;
        sink.put("n", &self.n)
    }

    fn decode(source: &mut ArgumentSource) -> pynenc_core::Result<Self> {
        let numbers = Self { key: source.take("key")?, n: source.take("n")? };
        source.finish()?;
        Ok(numbers)
    }
}

macro_rules! tasks {
    ($($(#[$doc:meta])* $task:ident = $name:literal, $body:ident, $options:expr;)+) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub(super) struct $task;

            impl Task for $task {
                type Arguments = Numbers;
                type Output = Value;

                fn definition() -> &'static TaskDefinition {
                    static DEFINITION: TaskDefinition = TaskDefinition {
                        name: $name,
                        arguments: &["key", "n"],
                        options: $options,
                        function: TaskFunction::Async(|source| Box::pin(run(source, $body))),
                        check: |_| Ok(()),
                        requires: |requirements| State::<Ledger>::requires(requirements),
                        attachments: |_| {},
                    };
                    &DEFINITION
                }
            }
        )+

        /// Every task.
        pub(super) fn all() -> Vec<&'static TaskDefinition> {
            vec![$($task::definition()),+]
        }
    };
}

const KEY: &[std::borrow::Cow<'static, str>] = &[std::borrow::Cow::Borrowed("key")];
const RETRIES: TaskPatch =
    TaskPatch { max_retries: Some(3), backoff: Some(Backoff::Constant(Duration::from_secs(1))), ..TaskPatch::NONE };
const LIMITED: TaskPatch = TaskPatch {
    running_concurrency: Some(Concurrency::Keys(std::borrow::Cow::Borrowed(KEY))),
    running_limit: Some(LIMIT),
    reroute_on_concurrency_control: Some(true),
    ..RETRIES
};

/// The limit of claimed invocations for each key.
pub(super) const LIMIT: u32 = 2;

tasks! {
    /// Sleeps and returns.
    Leaf = "leaf", leaf, TaskPatch::NONE;
    /// Fails on its first attempts.
    Flaky = "flaky", flaky, RETRIES;
    /// Waits for two children, one after the other.
    Parent = "parent", parent, RETRIES;
    /// Is limited by its key, and fails at times.
    Limited = "limited", flaky, LIMITED;
    /// Is limited to one by its key, and dropped when no slot is free.
    Dropped = "dropped", leaf, TaskPatch { running_limit: Some(1), reroute_on_concurrency_control: Some(false), ..LIMITED };
    /// Waits for another `Deadlock` with the key from `n`. One or several of them make a deadlock.
    Deadlock = "deadlock", deadlock, TaskPatch { running_limit: Some(1), max_retries: Some(0), ..LIMITED };
    /// At most one invocation waits for each key.
    Single = "single", leaf, TaskPatch {
        registration_concurrency: Some(Concurrency::Keys(std::borrow::Cow::Borrowed(KEY))),
        ..TaskPatch::NONE
    };
}

async fn run<F>(mut source: ArgumentSource, body: F) -> Finished
where
    F: AsyncFnOnce(&TaskContext, Numbers) -> Result<(), Error>,
{
    let serializer = source.serializer();
    let numbers = Numbers::decode(&mut source).map_err(Failure::Arguments)?;
    let context = TaskContext::current().map_err(Failure::Injection)?;
    let ledger = State::<Ledger>::from_context(&context).map_err(Failure::Injection)?;
    ledger.note((context.invocation_id(), context.epoch()));
    let returned = body(&context, numbers).await.map(|()| (numbers.n * 2, context.epoch()));
    finish::<Result<Value, Error>, true>(returned, &*serializer, |_| ("Error".to_owned(), true))
}

/// Sleeps, so that its owner can be lost while it runs.
async fn leaf(context: &TaskContext, numbers: Numbers) -> Result<(), Error> {
    let clock = context.engine().parts().clock.clone();
    for _ in 0..numbers.n {
        yield_to_scheduler().await;
        clock.sleep(Duration::from_secs(2)).await;
    }
    Ok(())
}

async fn flaky(context: &TaskContext, numbers: Numbers) -> Result<(), Error> {
    leaf(context, numbers).await?;
    if u64::from(context.attempt_number()) <= numbers.n % 3 {
        return Err(Error::other("a simulated failure"));
    }
    Ok(())
}

async fn parent(context: &TaskContext, numbers: Numbers) -> Result<(), Error> {
    for n in 0..2 {
        let child = context.submit(Call::<Leaf>::new(Numbers { key: numbers.key, n })).await?;
        child.result().await?;
    }
    Ok(())
}

async fn deadlock(context: &TaskContext, numbers: Numbers) -> Result<(), Error> {
    if numbers.n > 0 {
        let child = Numbers { key: numbers.n % 3, n: 0 };
        context.submit(Call::<Deadlock>::new(child)).await?.result().await?;
    }
    Ok(())
}
