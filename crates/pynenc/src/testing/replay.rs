//! Replays recorded workflow runs, to test that a workflow's code still matches them.

use std::sync::Arc;

use pynenc_builder::backends::pynenc_workflow::History;
use pynenc_builder::{Pynenc, PynencBuilder};
use pynenc_core::record::{Outcome, TaskError};
use pynenc_core::{Reason, Status};
use pynenc_engine::Result;
use pynenc_engine::worker::Worker;

/// The result of a replay.
#[derive(Debug, Clone, PartialEq)]
pub enum Replayed {
    /// The workflow replayed the whole journal and returned this value, as JSON.
    Returned(serde_json::Value),
    /// The workflow failed with this error. The recorded run may have failed in the same way.
    Failed(TaskError),
    /// The workflow replayed the whole journal and would continue with a new operation.
    Open,
}

/// Runs this program's workflow code against a recorded run, such as `app.workflows().export(id)` returns.
///
/// The replay performs no operation that isn't recorded: no step runs, and no task is called.
///
/// # Errors
///
/// - [`Error::NonDeterminism`](pynenc_engine::Error::NonDeterminism) if the code doesn't match the journal. The error
///   names the position, the recorded operation and the operation of the code.
/// - [`Error::UnknownTask`](pynenc_engine::Error::UnknownTask) if the program doesn't have the workflow's task.
pub async fn replay(history: &History) -> Result<Replayed> {
    replay_with(history, |builder| builder).await
}

/// Like [`replay`], in an app with the states and settings that the workflow needs.
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
    if record.status == Status::Scheduled && record.reason == Reason::Suspended {
        return Ok(Replayed::Open);
    }
    match app.parts().state.outcome(id, record.epoch).await? {
        Some(Outcome::Value { value, serializer }) => Ok(Replayed::Returned(app.value(&value, &serializer).await?)),
        Some(Outcome::Error(error)) if record.reason != Reason::NonDeterminism => Ok(Replayed::Failed(error)),
        Some(_) | None => Err(app.why_failed(id).await?),
    }
}
