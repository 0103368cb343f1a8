//! Distributed task orchestration: a function becomes a task, a call becomes an invocation, and no accepted work is lost.
//!
//! ```
//! use pynenc::prelude::*;
//!
//! #[task]
//! async fn add(x: i64, y: i64) -> i64 {
//!     x + y
//! }
//!
//! #[tokio::main]
//! async fn main() -> pynenc::Result<()> {
//!     let app = Pynenc::builder().memory().without_config_file().build().await?;
//!     let runner = app.start_runner().await?;
//!     let sum = app.submit(add(1, 2)).await?.result().await?;
//!     assert_eq!(sum, 3);
//!     runner.shutdown().await
//! }
//! ```

#[cfg(feature = "triggers")]
pub use pynenc_builder::backends::pynenc_triggers as triggers;
#[cfg(feature = "workflow")]
pub use pynenc_builder::backends::pynenc_workflow as workflows;
pub use pynenc_builder::*;
pub use pynenc_core::cached::Cached;
pub use pynenc_core::record::TaskError;
pub use pynenc_core::{InvocationId, Plugin, Reason, Status, TaskId, config};
pub use pynenc_engine::returns::VariantName;
pub use pynenc_engine::{
    ArgumentDiff, Call, Cancel, CancelAll, Emit, EncodedCall, Engine, Error, Extension, FromContext, Invocation,
    InvocationGroup, Mismatch, ProcessRunner, Result, Retry, Runner, State, Task, TaskContext, ThreadRunner, tasks,
};
/// ```
/// use pynenc::prelude::*;
///
/// /// Adds two numbers.
/// #[task(max_retries = 3, timeout = "30s")]
/// async fn add(x: i64, y: i64) -> i64 {
///     x + y
/// }
///
/// let call: Call<add> = add(1, 2).priority(7);
/// assert_eq!(call.arguments().x, 1);
/// assert!(add::NAME.ends_with("::add"));
/// ```
pub use pynenc_macros::task;
/// ```
/// use pynenc::prelude::*;
///
/// #[task]
/// async fn charge(order: String) -> Result<u64> {
///     Ok(order.len() as u64)
/// }
///
/// /// Charges an order, and waits a day before it says so.
/// #[workflow]
/// async fn process(#[inject] wf: Workflow, order: String) -> Result<String> {
///     let payment = wf.execute(charge(order.clone())).await?;
///     wf.sleep(hours(24)).await?;
///     Ok(format!("{order} was paid with {payment}"))
/// }
/// ```
#[cfg(feature = "workflow")]
pub use pynenc_macros::workflow;

/// What a component is written against.
pub use pynenc_core as core;
/// What a runner or an extension is written against.
pub use pynenc_engine as engine;

#[cfg(feature = "cli")]
pub use pynenc_cli as cli;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;

/// What most programs use.
pub mod prelude {
    #[cfg(feature = "cli")]
    pub use crate::cli::CommandLine as _;
    pub use crate::time::{hours, millis, minutes, secs};
    #[cfg(feature = "triggers")]
    pub use crate::triggers::{
        Condition as _, Misfire, TriggersExt as _, all, any, on_cron, on_event, on_exception, on_result, on_status,
        on_success,
    };
    #[cfg(feature = "workflow")]
    pub use crate::workflow;
    #[cfg(feature = "workflow")]
    pub use crate::workflows::{Workflow, WorkflowsExt as _};
    pub use crate::{
        Cached, Call, Error, Invocation, InvocationGroup, Pynenc, Result, Retry, State, Status, Task, TaskContext,
        task, tasks,
    };
}

/// What the expansion of [`task`] names.
#[doc(hidden)]
pub mod __private {
    pub use inventory;
    #[cfg(feature = "triggers")]
    pub use pynenc_builder::backends::pynenc_triggers as triggers;
    pub use pynenc_core::Result as ComponentResult;
    pub use pynenc_core::task_options::{Backoff, Concurrency, Fence, TaskPatch};
    pub use pynenc_engine::arguments::{ArgumentSink, ArgumentSource, Arguments};
    pub use pynenc_engine::returns::{Failure, Infallible, KindByType, KindByVariant, KindOf, Ret, Returns, finish};
    pub use pynenc_engine::task::{Body, LinkedTask, check_arguments};
    pub use pynenc_engine::{Call, FromContext, Task, TaskDefinition};
}
