//! Where triggers, workflows and metrics plug in; the engine knows none of them.

use std::any::Any;
use std::fmt;

use async_trait::async_trait;
use pynenc_core::orchestrator::Signal;
use pynenc_core::{InvocationId, RunnerId, StatusRecord, TaskId};

use crate::engine::Engine;
use crate::error::Result;
use crate::stop::Stop;

/// A transition that this process has made.
#[derive(Debug, Clone)]
pub struct Changed<'a> {
    /// The invocation.
    pub id: InvocationId,
    /// Its task.
    pub task: &'a TaskId,
    /// Its record as it is now.
    pub record: &'a StatusRecord,
}

/// A part of an app that the engine doesn't know.
#[async_trait]
pub trait Extension: Any + fmt::Debug + Send + Sync {
    /// How the log names it.
    fn name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }

    /// Is done before a runner of this process claims anything. A failure that may pass is tried again; any other keeps
    /// the runner from starting.
    async fn prepare(&self, _engine: &Engine) -> Result<()> {
        Ok(())
    }

    /// Is told of every transition that this process makes, after it is made. It must not block.
    fn on_change(&self, _change: &Changed<'_>) {}

    /// Tells which of these invocations, whose retention is over, are needed for longer. They are asked for again later.
    /// What is needed by nobody is forgotten.
    async fn still_needed(&self, _engine: &Engine, _outlived: &[InvocationId]) -> Result<Vec<InvocationId>> {
        Ok(Vec::new())
    }

    /// Is told what the store signals to a runner of this process. It must not block.
    fn on_signal(&self, _signal: &Signal) {}

    /// A service that every runner performs beside its work; it ends when `stop` says so. A runner's claims go on when
    /// it ends early, and an error is logged.
    async fn serve(&self, _engine: Engine, _runner: RunnerId, _stop: Stop) -> Result<()> {
        Ok(())
    }
}
