//! The handle that a body has of its workflow.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pynenc_core::{Digest, InvocationId};
use pynenc_engine::context::Requirements;
use pynenc_engine::{Call, Error, FromContext, Result, Task, TaskContext};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::event::WaitForEvent;
use crate::extension::WorkflowExtension;
use crate::operation::Operation;
use crate::run::Run;
use crate::{data, execute, kind, step, timer, value};

/// A workflow, for the body that runs it: `#[inject] wf: Workflow`.
///
/// Each operation is recorded once, at its position, and given again when the body runs again: after a retry, after its
/// runner was lost, and after it was put aside. Positions are taken when an operation is *called*. So operations that are
/// called one after the other have a stable order, and so have those of `join!(wf.execute(a), wf.execute(b))`, which are
/// all called before one is awaited. Several chains of operations at once each have a [`Workflow::branch`].
///
/// What a body does beside its operations it does again in each run. It has to come to the same operations each time:
/// whatever may turn out otherwise belongs into a [`Workflow::step`].
///
/// Clones mean the same workflow.
#[derive(Debug, Clone)]
pub struct Workflow {
    pub(crate) run: Arc<Run>,
    /// What positions begin with.
    pub(crate) branch: Arc<str>,
}

impl FromContext for Workflow {
    fn requires(requirements: &mut Requirements) {
        requirements.part::<Self>();
    }

    fn from_context(context: &TaskContext) -> Result<Self> {
        let refused = |advice: &str| Error::Injection { type_name: "Workflow", advice: advice.to_owned() };
        if context.is_blocking() {
            return Err(refused("a workflow waits, so its body is an `async fn`"));
        }
        if context.engine().extension::<WorkflowExtension>().is_none() {
            return Err(refused("the app has no workflows; turn on the feature `workflow`"));
        }
        Ok(Self { run: Run::of(context), branch: "".into() })
    }
}

impl Workflow {
    /// The workflow's identity: that of the invocation that founded it. A retry of that keeps it.
    pub fn id(&self) -> InvocationId {
        self.run.workflow.id
    }

    /// The workflow that this one was called from.
    pub fn parent(&self) -> Option<InvocationId> {
        self.run.workflow.parent
    }

    /// A handle that numbers its operations by itself, for a chain of them beside others. Handles of one name are one
    /// branch.
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
        Self { run: self.run.clone(), branch: format!("{}{name}/", self.branch).into() }
    }

    /// A number in 0..1, the same in each run.
    pub fn random(&self) -> impl Future<Output = Result<f64>> + Send + use<> {
        value::random(self.operation(kind::RANDOM, "", b""))
    }

    /// A UUID, the same in each run.
    pub fn uuid(&self) -> impl Future<Output = Result<Uuid>> + Send + use<> {
        value::uuid(self.operation(kind::UUID, "", b""))
    }

    /// The time of the first run that came here, by the store's clock.
    pub fn now(&self) -> impl Future<Output = Result<SystemTime>> + Send + use<> {
        value::now(self.operation(kind::NOW, "", b""))
    }

    /// Runs code once and records its value: a request, a file, a query, whatever may turn out otherwise the next time.
    ///
    /// A crash before the value is recorded runs it again. An error isn't recorded if the body ends with it: a retry tries
    /// again. If the body goes on with another operation, the error is what it went on from, and recorded.
    ///
    /// # Errors
    ///
    /// [`Error::TaskFailed`] with what the code returned; [`Error::TooLarge`] for a value above `workflow.max_value_size`;
    /// [`Error::UnstableOrder`].
    pub fn step<T, E, F>(&self, name: &str, code: impl FnOnce() -> F + Send) -> impl Future<Output = Result<T>> + Send
    where
        T: Serialize + DeserializeOwned + Send,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
        F: Future<Output = std::result::Result<T, E>> + Send,
    {
        step::step(self.operation(kind::STEP, name, b""), code)
    }

    /// Calls a task, waits for its value, and records it. The child belongs to the workflow, and is submitted once: its id
    /// follows from the workflow and the position.
    ///
    /// # Errors
    ///
    /// What [`Invocation::result`](pynenc_engine::Invocation::result) gives, as [`Error::TaskFailed`] where it is given
    /// again. As with a step, an error is recorded if the body goes on from it; else a retry calls the task again.
    pub fn execute<T: Task>(&self, call: Call<T>) -> impl Future<Output = Result<T::Output>> + Send + use<T> {
        execute::one(self, call)
    }

    /// Calls a task many times, and waits for all values, in the order of the calls.
    ///
    /// # Errors
    ///
    /// As [`Workflow::execute`]: the first in the order of the calls. The others go on.
    pub fn execute_all<T: Task, I: IntoIterator<Item = Call<T>>>(
        &self,
        calls: I,
    ) -> impl Future<Output = Result<Vec<T::Output>>> + Send + use<T, I> {
        execute::all(self, calls.into_iter().collect())
    }

    /// Waits for `duration` from the first run that came here on, by the store's clock, through restarts of everything.
    /// When nothing else is open, the body is put aside: it holds no slot and no memory.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = Result<()>> + Send + use<> {
        timer::sleep(self.operation(kind::SLEEP, "", &duration.as_millis().to_be_bytes()), duration)
    }

    /// Waits for an event of the app's log, from the workflow's beginning on. A second wait of this run for the same name
    /// and key is given the next such event.
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
    pub fn wait_for_event<T: DeserializeOwned + Send>(&self, name: &str) -> WaitForEvent<T> {
        WaitForEvent::new(self.operation(kind::EVENT, name, b""))
    }

    /// Keeps a value with the workflow, for all who take part in it and for those who look at it.
    pub fn set_data<T: Serialize + Sync + ?Sized>(
        &self,
        key: &str,
        value: &T,
    ) -> impl Future<Output = Result<()>> + Send + use<T> {
        data::set(self, key, value)
    }

    /// A value that is kept with the workflow, as it was when this was first asked.
    pub fn get_data<T: Serialize + DeserializeOwned + Send>(
        &self,
        key: &str,
    ) -> impl Future<Output = Result<Option<T>>> + Send + use<T> {
        data::get(self.operation(kind::GET_DATA, key, b""))
    }

    pub(crate) fn operation(&self, kind: &'static str, name: &str, arguments: &[u8]) -> Operation {
        Operation::call(self, kind, name, Digest::of(arguments))
    }
}
