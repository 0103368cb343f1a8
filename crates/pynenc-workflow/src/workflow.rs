//! The handle of a workflow in its task function.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pynenc_core::{Digest, InvocationId};
use pynenc_engine::{Call, Result, Task};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::event::WaitForEvent;
use crate::operation::{Branch, Operation};
use crate::run::Run;
use crate::{children, data, deterministic, operation_kind, step, timer};

/// The handle of a workflow in its task function, injected as `#[inject] wf: Workflow`.
///
/// Each operation of the handle is recorded once in the journal of the run. When the task function runs again (after a
/// retry, a crash of its runner, or a suspension), each operation returns its recorded value, and the first operation
/// that isn't recorded is performed.
///
/// ```
/// # use std::time::Duration;
/// # use pynenc_engine::{Call, Error, Result, Task};
/// # use pynenc_workflow::Workflow;
/// # async fn quote() -> std::io::Result<u64> { Ok(1) }
/// # async fn order<charge: Task, ship: Task>(
/// #     wf: Workflow, charge: fn(u64) -> Call<charge>, ship: fn() -> Call<ship>,
/// # ) -> Result<()> {
/// let price = wf.step("quote", || quote()).await?; // runs again only after a crash before its value is recorded
/// wf.execute(charge(price)).await?; // is submitted once
/// wf.sleep(Duration::from_secs(3 * 24 * 3600)).await?;
/// wf.execute(ship()).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Determinism
///
/// The task function has to call the same operations in the same order in each run. Code between operations runs again
/// in each run, so its decisions have to depend on arguments and operations alone. Put a request, a random choice or a
/// read of the clock into an operation.
///
/// An operation takes its position in the journal when it is *called*, not when it is awaited. So `join!(wf.execute(a),
/// wf.execute(b))` has a stable order. A `select!` over operations has one too: the operation that completed first is
/// recorded, and completes first in each later run. Chains of operations that run concurrently each need a
/// [`branch`](Self::branch).
///
/// # Errors
///
/// All operations can fail with [`Error::UnstableOrder`](pynenc_engine::Error::UnstableOrder), if another operation of
/// the same branch is open, and with [`Error::TooLarge`](pynenc_engine::Error::TooLarge), if the journal has
/// [`max_steps`](crate::WorkflowConfig::max_steps) entries or a value has more than
/// [`max_value_size`](crate::WorkflowConfig::max_value_size) bytes.
///
/// An operation that doesn't match its entry never returns: the run fails with
/// [`Error::NonDeterminism`](pynenc_engine::Error::NonDeterminism), without a retry, and its journal is kept. If a
/// store can't be reached, the operation waits until the store is back.
///
/// # Cancel safety
///
/// Dropping an operation's future stops the wait and not the work: a called child goes on. The value may or may not be
/// recorded. The operation keeps its position.
///
/// Clones are handles of the same branch of the same run.
#[derive(Debug, Clone)]
pub struct Workflow {
    branch: Branch,
}

impl Workflow {
    pub(crate) fn new(run: Arc<Run>) -> Self {
        Self { branch: Branch::main(run) }
    }

    /// Returns the workflow's id: the id of the invocation that founded it. A retry of the workflow keeps the id.
    pub fn id(&self) -> InvocationId {
        self.branch.run.workflow.id
    }

    /// Returns the workflow that called this workflow.
    pub fn parent(&self) -> Option<InvocationId> {
        self.branch.run.workflow.parent
    }

    /// Returns a handle that numbers its operations by itself, for a chain of operations that runs concurrently with
    /// others. Handles with the same name belong to the same branch.
    ///
    /// ```
    /// # use pynenc_engine::Result;
    /// # use pynenc_workflow::Workflow;
    /// # async fn body(wf: Workflow) -> Result<()> {
    /// let (left, right) = (wf.branch("left"), wf.branch("right"));
    /// let one = async { Ok::<_, pynenc_engine::Error>(left.random().await? + left.random().await?) };
    /// let other = async { right.sleep(std::time::Duration::from_secs(60)).await };
    /// let (sum, slept) = tokio::join!(one, other);
    /// # sum?; slept
    /// # }
    /// ```
    #[must_use]
    pub fn branch(&self, name: &str) -> Self {
        Self { branch: self.branch.branch(name) }
    }

    /// Returns a random number in 0..1, the same in each run.
    pub fn random(&self) -> impl Future<Output = Result<f64>> + Send + use<> {
        deterministic::random(self.operation(operation_kind::RANDOM, "", b""))
    }

    /// Returns a random UUID, the same in each run.
    pub fn uuid(&self) -> impl Future<Output = Result<Uuid>> + Send + use<> {
        deterministic::uuid(self.operation(operation_kind::UUID, "", b""))
    }

    /// Returns the time at which a run first reached this operation, by the store's clock.
    pub fn now(&self) -> impl Future<Output = Result<SystemTime>> + Send + use<> {
        deterministic::now(self.operation(operation_kind::NOW, "", b""))
    }

    /// Runs code and records its value: a request, a file, a query, or anything else whose result may differ next time.
    ///
    /// The code runs once, unless a crash comes before its value is recorded; then it runs again. If the code returns
    /// an error and the task function ends with that error, a retry runs the code again. If the function handles the
    /// error and calls another operation, the error is recorded, and each later run gets it.
    ///
    /// # Errors
    ///
    /// [`Error::TaskFailed`](pynenc_engine::Error::TaskFailed) with the error of the code;
    /// [`Error::Retry`](pynenc_engine::Error::Retry) if the code returned a [`Retry`](pynenc_engine::Retry); and the
    /// [errors of all operations](Workflow#errors).
    pub fn step<T, E, F>(&self, name: &str, code: impl FnOnce() -> F + Send) -> impl Future<Output = Result<T>> + Send
    where
        T: Serialize + DeserializeOwned + Send,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
        F: Future<Output = std::result::Result<T, E>> + Send,
    {
        step::step(self.operation(operation_kind::STEP, name, b""), code)
    }

    /// Calls a task, waits for its value, and records the value.
    ///
    /// The child belongs to the workflow. Its id follows from the workflow and the position, so that it is submitted
    /// once, even after a crash. A wait for a child keeps the task function in memory, without a concurrency slot.
    ///
    /// # Errors
    ///
    /// The errors of [`Invocation::result`](pynenc_engine::Invocation::result), and the [errors of all
    /// operations](Workflow#errors). As in [`step`](Self::step), an error is recorded if the task function handles it,
    /// and later runs get it as [`Error::TaskFailed`](pynenc_engine::Error::TaskFailed). If the function ends with the
    /// error, a retry calls the task again.
    pub fn execute<T: Task>(&self, call: Call<T>) -> impl Future<Output = Result<T::Output>> + Send + use<T> {
        children::execute(&self.branch, call)
    }

    /// Calls a task many times, waits for all values, and records them, in the order of the calls.
    ///
    /// # Errors
    ///
    /// As [`Workflow::execute`]: the first error in the order of the calls. The other children go on.
    pub fn execute_all<T: Task, I: IntoIterator<Item = Call<T>>>(
        &self,
        calls: I,
    ) -> impl Future<Output = Result<Vec<T::Output>>> + Send + use<T, I> {
        children::execute_all(&self.branch, calls.into_iter().collect())
    }

    /// Sleeps until `duration` after a run first reached this operation, by the store's clock, also through restarts.
    ///
    /// If the run only sleeps and waits for events for [`put_aside_after`](crate::WorkflowConfig::put_aside_after), it
    /// is suspended: it holds no concurrency slot and no memory.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = Result<()>> + Send + use<> {
        timer::sleep(self.operation(operation_kind::SLEEP, "", &duration.as_millis().to_be_bytes()), duration)
    }

    /// Waits for an event of this name and returns its payload.
    ///
    /// The first event counts that was emitted after the workflow was submitted and is still in the log. A second wait
    /// of this run for the same name and key receives the next event. As in [`sleep`](Self::sleep), the run may be
    /// suspended.
    ///
    /// ```
    /// # use pynenc_engine::Result;
    /// # use pynenc_workflow::Workflow;
    /// # async fn body(wf: Workflow, order: &str) -> Result<bool> {
    /// let week = std::time::Duration::from_secs(7 * 24 * 3600);
    /// let answer: Option<bool> = wf.wait_for_event("approved").key(order).within(week).await?;
    /// Ok(answer.unwrap_or(false))
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](pynenc_engine::Error::Invalid) for an event whose payload isn't a `T`, and the
    /// [errors of all operations](Workflow#errors).
    pub fn wait_for_event<T: DeserializeOwned + Send>(&self, name: &str) -> WaitForEvent<T> {
        WaitForEvent::new(self.operation(operation_kind::EVENT, name, b""))
    }

    /// Stores a value with the workflow, for its children and for readers outside
    /// ([`Workflows::data`](crate::Workflows::data)). The last write wins.
    pub fn set_data<T: Serialize + Sync + ?Sized>(
        &self,
        key: &str,
        value: &T,
    ) -> impl Future<Output = Result<()>> + Send + use<T> {
        data::set(&self.branch, key, value)
    }

    /// Returns a value that is stored with the workflow, as it was when a run first reached this operation.
    pub fn get_data<T: Serialize + DeserializeOwned + Send>(
        &self,
        key: &str,
    ) -> impl Future<Output = Result<Option<T>>> + Send + use<T> {
        data::get(self.operation(operation_kind::GET_DATA, key, b""))
    }

    fn operation(&self, kind: &'static str, name: &str, arguments: &[u8]) -> Operation {
        self.branch.operation(kind, name, Digest::of(arguments))
    }
}
