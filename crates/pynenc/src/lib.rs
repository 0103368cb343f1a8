//! Distributed task orchestration: turn a function into a task, submit calls, and let workers run them.
//!
//! A *task* is a function with the attribute [`#[task]`](macro@task). Submitting a call of a task creates an
//! *invocation*, which has a status, a history, and finally a result or an error. *Runners* claim invocations from
//! queues and run their task functions. An app works in the memory of one process, or over Redis in as many processes
//! as you like.
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
//!
//!     let invocation = app.submit(add(1, 2)).await?;
//!     assert_eq!(invocation.result().await?, 3);
//!
//!     runner.shutdown().await
//! }
//! ```
//!
//! # Why pynenc
//!
//! - **No accepted work is lost.** An invocation is accepted when `submit` returns `Ok`. If a worker dies, another
//!   worker runs its invocations again. So a task function can run more than once, but exactly one outcome is recorded.
//! - **Calls are type-checked.** A call with wrong arguments doesn't compile. The result has the type that the function
//!   returns, and each kind of failure is a variant of [`Error`].
//! - **Waiting tasks block no worker.** A task can call other tasks and wait for their results. While a task waits, its
//!   runner slot is free for other invocations. It keeps the slot of its concurrency key. A deadlock, in which
//!   invocations wait for each other, is an error at once.
//! - **Concurrency limits hold across all workers,** per task, per arguments, or per value of some arguments.
//! - **Tests are fast.** Call the function itself as `add::run(1, 2)`, or test a whole app in memory under virtual
//!   time, in which hours pass in a moment.
//!
//! # Options of tasks and calls
//!
//! The attribute sets the options of a task, and methods of [`Call`] set those of one call. Here a third charge of an
//! account waits for a slot; without `reroute_on_concurrency_control` it would be dropped:
//!
//! ```
//! use pynenc::prelude::*;
//!
//! #[task(
//!     max_retries = 3,
//!     timeout = "30s",
//!     running_concurrency = keys(account),
//!     running_limit = 2,
//!     reroute_on_concurrency_control,
//! )]
//! async fn charge(account: u64, cents: u64) -> Result<u64, String> {
//!     if cents == 0 { Err("nothing to charge".to_owned()) } else { Ok(account + cents) }
//! }
//!
//! let call = charge(7, 100).delay(minutes(5)).priority(9).idempotency_key("order-7");
//! assert_eq!(call.arguments().cents, 100);
//! ```
//!
//! # Apps and workers
//!
//! [`Pynenc::new`] reads `pynenc.toml` and the `PYNENC__` variables. [`Pynenc::builder`] sets the same settings in
//! code: `.memory()` for one process, `.redis(url)` for several. A worker is a program that links the tasks and calls
//! [`Pynenc::run`], or `pynenc::cli::main` for a worker with a command line.
//!
//! # Features
//!
//! | feature | content |
//! |---|---|
//! | `mem` (default) | components in memory |
//! | `redis`, `redis-tls` | components on Redis, optionally through TLS |
//! | `triggers` | schedules, events and completions that call tasks: `pynenc::triggers` |
//! | `workflow` | durable workflows: the attribute `workflow`, and `pynenc::workflows` |
//! | `cli` | the command line for a program with tasks: `pynenc::cli` |
//! | `metrics` | the metrics of an app for Prometheus, and health probes: `pynenc::metrics` |
//! | `otel` | traces and metrics over OTLP, as the `OTEL_*` variables say: `pynenc::otel` |
//! | `web` | the HTTP API and the web monitor: `app.web()`, `pynenc::web` |
//! | `logging` | a `tracing` subscriber that follows the settings: `pynenc::logging` |
//! | `yaml` | settings in `pynenc.yaml` |
//! | `testing` | an app for tests, with virtual time: `pynenc::testing` |
//!
//! # Where to go next
//!
//! - [`prelude`] has the items that most programs use.
//! - [`#[task]`](macro@task) lists the options of tasks.
//! - [`Engine`] has the methods of an app: submit, cancel, retry, find, and explain why an invocation doesn't run.
//! - [`config::DEFAULT_FILE`] lists every setting with its default.
//! - [`pynenc::core`](mod@core) has the traits of components, for a backend of your own.

#[cfg(feature = "metrics")]
pub use pynenc_builder::backends::pynenc_metrics as metrics;
#[cfg(feature = "triggers")]
pub use pynenc_builder::backends::pynenc_triggers as triggers;
#[cfg(feature = "web")]
pub use pynenc_builder::backends::pynenc_web as web;
#[cfg(feature = "workflow")]
pub use pynenc_builder::backends::pynenc_workflow as workflows;
pub use pynenc_builder::*;
pub use pynenc_core::cached::Cached;
pub use pynenc_core::record::TaskError;
pub use pynenc_core::{InvocationId, Plugin, Reason, Status, TaskId, config};
pub use pynenc_engine::task::VariantName;
pub use pynenc_engine::{
    ArgumentDiff, Call, Cancel, CancelAll, Emit, EncodedCall, Engine, Error, Extension, FromContext, Invocation,
    InvocationGroup, Mismatch, ProcessRunner, Result, Retry, Runner, State, Task, TaskContext, ThreadRunner, tasks,
};
/// Defines a task:
///
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
/// Defines a workflow:
///
/// ```
/// use pynenc::prelude::*;
///
/// #[task]
/// async fn charge(order: String) -> Result<u64> {
///     Ok(order.len() as u64)
/// }
///
/// /// Charges an order, waits a day, and returns a confirmation.
/// #[workflow]
/// async fn process(#[inject] wf: Workflow, order: String) -> Result<String> {
///     let payment = wf.execute(charge(order.clone())).await?;
///     wf.sleep(hours(24)).await?;
///     Ok(format!("{order} was paid with {payment}"))
/// }
/// ```
#[cfg(feature = "workflow")]
pub use pynenc_macros::workflow;

/// The core: component traits, ids, records and configuration. Depend on it to write a component.
pub use pynenc_core as core;
/// The engine: submitting, running and recovering invocations. Depend on it to write a runner or an extension.
pub use pynenc_engine as engine;

#[cfg(feature = "cli")]
pub use pynenc_cli as cli;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;

/// The items that most programs use.
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

/// The items that the code generated by [`task`](macro@task) uses.
#[doc(hidden)]
pub mod __private {
    pub use inventory;
    #[cfg(feature = "triggers")]
    pub use pynenc_builder::backends::pynenc_triggers as triggers;
    pub use pynenc_core::Result as ComponentResult;
    pub use pynenc_core::task_options::{Backoff, Concurrency, Fence, TaskPatch};
    pub use pynenc_engine::task::{ArgumentSink, ArgumentSource, Arguments};
    pub use pynenc_engine::task::{
        Failure, Infallible, KindByType, KindByVariant, KindOf, LinkedTask, ReturnType, TaskFunction, TaskReturn,
        check_arguments, finish,
    };
    pub use pynenc_engine::{Call, FromContext, Task, TaskContext, TaskDefinition};
}
