//! The engine of pynenc: from a call to its result.
//!
//! [`Engine`] submits calls and answers for invocations. A [`Runner`] drives a [`Worker`](worker::Worker), which claims
//! invocations, runs their tasks and settles the outcomes. The engine alone sequences steps of two components.
//! `ARCHITECTURE.md` explains the order of these steps, and why a process may die after any of them.
//!
//! From the bottom up, and each file imports only files below it:
//!
//! | modules | hold |
//! |---|---|
//! | [`error`], [`stop`], `argument_cache`, `group_commit`, [`step_lane`] | errors, the stop signal, large values, batching, the lane over separate stores |
//! | [`metrics`], `local_runners` | the list of all metrics, and their recording; the runners of this process |
//! | `trace_propagation` | the connection with the distributed tracing of the program |
//! | [`task`] | a task's definition, arguments, return value and requirements; the registry |
//! | [`engine`], `tracing`, `gauges` | the parts of an app and access to them; spans and log events; the present state for metrics and views |
//! | `attempt`, [`context`] | one claim of one invocation; the context of a task function |
//! | [`client`] | the caller's side: call, submit, await, cancel, retry, explain |
//! | [`worker`] | the runner's side: claim, execute, settle, heartbeat, recovery, sweep, retention |
//! | [`runner`], [`service`], `setup` | when and where a worker runs; the loop of an extension's service; building an engine |

mod argument_cache;
mod attempt;
mod backoff;
mod blocking_threads;
pub mod client;
pub mod context;
pub mod engine;
pub mod error;
mod gauges;
mod group_commit;
mod local_runners;
pub mod metrics;
pub mod runner;
pub mod service;
mod setup;
mod shown_argument;
pub mod step_lane;
pub mod stop;
pub mod task;
mod trace_propagation;
mod tracing;
pub mod worker;

pub use attempt::{Attempt, Halt};
pub use backoff::store_backoff;
pub use client::{
    Call, Cancel, CancelAll, Emit, EncodedCall, Found, Invocation, InvocationGroup, PreparedCall, ResumeReply, Search,
    Why,
};
pub use context::{FromContext, State, TaskContext};
pub use engine::{Engine, Extension, Parts, Settings, StatusChange, WeakEngine};
pub use error::{ArgumentDiff, Error, Mismatch, Result, Retry};
pub use gauges::{AppGauges, AppState, QueueGauges};
pub use local_runners::RunnerState;
pub use runner::{ProcessRunner, Runner, RunnerComponents, ThreadRunner, worker_number};
pub use setup::EngineSetup;
pub use step_lane::StepLane;
pub use task::{Task, TaskDefinition};
pub use trace_propagation::{AttemptEnd, AttemptTrace, Processing, SendTrace, Sending, TracePropagation};
