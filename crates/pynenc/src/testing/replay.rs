//! Tests of a workflow's code against runs that were recorded.

use std::sync::Arc;

use pynenc_builder::backends::pynenc_workflow::History;
use pynenc_builder::{Pynenc, PynencBuilder};
use pynenc_core::record::{Outcome, TaskError};
use pynenc_core::{Reason, Status};
use pynenc_engine::Result;
use pynenc_engine::worker::Worker;

/// How a run came through its replay.
#[derive(Debug, Clone, PartialEq)]
pub enum Replayed {
    /// The body returned this value, as JSON, having come to everything that is recorded.
    Returned(serde_json::Value),
    /// The body failed with this error, as it may have when it was recorded.
    Failed(TaskError),
    /// The body came to the end of what is recorded, and wants to go on.
    Open,
}

/// Runs the code of this program against a recorded run, as `app.workflows().export(id)` gives one. Nothing that isn't
/// recorded is done: no step runs and no task is called.
///
/// # Errors
///
/// [`Error::NonDeterminism`] where the code doesn't match: it names the position, what is recorded and what was found.
/// [`Error::UnknownTask`] for a task that the program doesn't have.
pub async fn replay(history: &History) -> Result<Replayed> {
    replay_with(history, |builder| builder).await
}

/// As [`replay`], in an app with the states and settings that the body needs.
///
/// # Errors
///
/// As [`replay`], and as [`PynencBuilder::build`].
pub async fn replay_with(
    history: &History,
    configure: impl FnOnce(PynencBuilder) -> PynencBuilder,
) -> Result<Replayed> {
    let builder = Pynenc::builder().without_config_file().environment([]).memory().replaying();
    let app = configure(builder).build().await?;
    let id = history.restore(&app).await?;
    let worker = Arc::new(Worker::new(&app.settings().runner));
    for attempt in worker.claim(&app, vec![id]).await {
        worker.clone().run((*app).clone(), attempt).await;
    }
    let record = app.status(id).await?;
    if record.status == Status::Scheduled && record.reason == Reason::PutAside {
        return Ok(Replayed::Open);
    }
    match app.parts().state.outcome(id, record.epoch).await? {
        Some(Outcome::Value { value, serializer }) => Ok(Replayed::Returned(app.value(&value, &serializer).await?)),
        Some(Outcome::Error(error)) if record.reason != Reason::NonDeterminism => Ok(Replayed::Failed(error)),
        Some(_) | None => Err(app.why_failed(id).await?),
    }
}
