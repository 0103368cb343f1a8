//! What runs in pynenc: from a call to its value.
//!
//! [`Engine`] submits and answers; a [`Runner`] drives a [`Worker`](worker::Worker), which claims, runs
//! and settles. The engine alone sequences two components; see `ARCHITECTURE.md` for the order and why any step may be
//! the last one.

pub mod arguments;
pub mod call;
pub mod cancel;
mod content;
pub mod context;
pub mod emit;
pub mod engine;
pub mod error;
pub mod extension;
mod group_commit;
mod inline;
pub mod invocation;
pub mod retry;
pub mod returns;
pub mod runner;
pub mod step_lane;
pub mod stop;
mod submit;
pub mod task;
pub mod telling;
mod untyped;
pub mod wake;
pub mod why;
pub mod worker;

pub use call::{Call, EncodedCall};
pub use cancel::{Cancel, CancelAll};
pub use context::{FromContext, State, TaskContext};
pub use emit::Emit;
pub use engine::{Engine, EngineSetup, Parts, Settings};
pub use error::{ArgumentDiff, Error, Mismatch, Result, Retry};
pub use extension::Extension;
pub use invocation::{Invocation, InvocationGroup};
pub use runner::{ProcessRunner, Runner, RunnerComponents, ThreadRunner};
pub use step_lane::StepLane;
pub use task::{Task, TaskDefinition};
pub use telling::TracePropagation;
pub use wake::Waking;
pub use why::Why;
pub use worker::Halt;
