//! Runners.

use pynenc_core::orchestrator::{Find, RunnerInfo};
use pynenc_core::{RunnerId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::invocations::{InvocationRow, rows};
use crate::problem::Problem;
use crate::state::WebState;
use crate::units::millis;

/// The number of invocations of a runner that are read.
const MAX_OWNED: usize = 500;

/// A runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Runner {
    #[schema(value_type = String, format = Uuid)]
    pub(crate) id: RunnerId,
    /// `alive`; `silent` if its lease has expired, but nobody has retired it yet; or `retired`.
    #[schema(example = "alive")]
    pub(crate) state: &'static str,
    /// The host, the process and the kind of the runner.
    pub(crate) description: String,
    pub(crate) last_heartbeat: u64,
    /// How long the runner is believed to be alive after a heartbeat.
    pub(crate) lease_ms: u64,
    /// The number of invocations that it owns.
    pub(crate) owned: u64,
    /// The number of task functions that it can run at once.
    pub(crate) slots: Option<u64>,
    pub(crate) queues: Vec<String>,
    pub(crate) tasks: Vec<String>,
}

impl Runner {
    fn new(runner: &RunnerInfo, now: Timestamp) -> Self {
        let introduction = runner.introduction.clone().unwrap_or_default();
        Self {
            id: runner.id,
            state: runner.state(now),
            description: runner.description.to_string(),
            last_heartbeat: runner.last_heartbeat.as_millis(),
            lease_ms: millis(runner.lease),
            owned: runner.owned,
            slots: runner.introduction.as_ref().map(|introduction| introduction.slots),
            queues: introduction.queues.iter().map(ToString::to_string).collect(),
            tasks: introduction.tasks.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Reads the runners that are alive, or retired and still owners of invocations.
pub(crate) async fn runners(state: &WebState) -> Result<Vec<Runner>, Problem> {
    let reading = state.readings.state(&state.app).await?;
    Ok(reading.runners.iter().map(|runner| Runner::new(runner, reading.at)).collect())
}

/// Reads a runner and the first of the invocations that it owns.
pub(crate) async fn runner(state: &WebState, id: RunnerId) -> Result<(Runner, Vec<InvocationRow>), Problem> {
    let reading = state.readings.state(&state.app).await?;
    let known = reading.runners.iter().find(|runner| runner.id == id);
    let known = known.ok_or_else(|| Problem::not_found(format!("there is no runner {id}; it may have stopped")))?;
    let find = Find { owner: Some(id), limit: MAX_OWNED, ..Find::default() };
    let owned = state.app.parts().orchestrator.find(&find).await?.items;
    Ok((Runner::new(known, reading.at), rows(state, owned).await?))
}
