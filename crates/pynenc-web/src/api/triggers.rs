//! Triggers: list, runs, pause, resume, fire.

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::User;
use crate::actions::{TriggerAction, act_on_trigger};
use crate::extract::Path;
use crate::model;
use crate::problem::{ApiResult, Problem};
use crate::state::WebState;

/// The number of runs of a trigger that are listed.
const MAX_RUNS: usize = 100;

pub(super) fn routes() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(list_triggers))
        .routes(routes!(read_trigger))
        .routes(routes!(list_trigger_runs))
        .routes(routes!(pause_trigger))
        .routes(routes!(resume_trigger))
        .routes(routes!(fire_trigger))
}

/// List triggers
#[utoipa::path(get, path = "/triggers", tag = "triggers", responses(
    (status = OK, body = Vec<model::Trigger>), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn list_triggers(State(state): State<WebState>) -> ApiResult<Vec<model::Trigger>> {
    Ok(Json(model::triggers(&state).await?))
}

/// Read a trigger
#[utoipa::path(get, path = "/triggers/{id}", tag = "triggers", params(("id" = String, Path)), responses(
    (status = OK, body = model::Trigger), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn read_trigger(State(state): State<WebState>, Path(id): Path<String>) -> ApiResult<model::Trigger> {
    Ok(Json(model::trigger(&state, &id).await?))
}

/// List the last 100 runs of a trigger, newest first
#[utoipa::path(get, path = "/triggers/{id}/runs", tag = "triggers", params(("id" = String, Path)), responses(
    (status = OK, body = Vec<model::TriggerRun>), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn list_trigger_runs(State(state): State<WebState>, Path(id): Path<String>) -> ApiResult<Vec<model::TriggerRun>> {
    Ok(Json(model::trigger_runs(&state, &id, MAX_RUNS).await?))
}

/// The trigger after an action.
#[derive(Debug, Serialize, ToSchema)]
struct Acted {
    trigger: model::Trigger,
    /// The invocation that was submitted.
    #[schema(value_type = Option<String>, format = Uuid)]
    invocation: Option<pynenc_core::InvocationId>,
}

async fn act(state: &WebState, user: &User, id: &str, action: TriggerAction) -> ApiResult<Acted> {
    let invocation = act_on_trigger(state, user, id, action).await?;
    Ok(Json(Acted { trigger: model::trigger(state, id).await?, invocation }))
}

/// Pause a trigger, which then ignores its conditions
#[utoipa::path(post, path = "/triggers/{id}/pause", tag = "triggers", params(("id" = String, Path)), responses(
    (status = OK, body = Acted), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn pause_trigger(
    State(state): State<WebState>,
    Extension(user): Extension<User>,
    Path(id): Path<String>,
) -> ApiResult<Acted> {
    act(&state, &user, &id, TriggerAction::Pause).await
}

/// Resume a paused trigger
#[utoipa::path(post, path = "/triggers/{id}/resume", tag = "triggers", params(("id" = String, Path)), responses(
    (status = OK, body = Acted), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn resume_trigger(
    State(state): State<WebState>,
    Extension(user): Extension<User>,
    Path(id): Path<String>,
) -> ApiResult<Acted> {
    act(&state, &user, &id, TriggerAction::Resume).await
}

/// Submit the call of a trigger now
#[utoipa::path(post, path = "/triggers/{id}/fire", tag = "triggers", params(("id" = String, Path)), responses(
    (status = OK, body = Acted), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn fire_trigger(
    State(state): State<WebState>,
    Extension(user): Extension<User>,
    Path(id): Path<String>,
) -> ApiResult<Acted> {
    act(&state, &user, &id, TriggerAction::Fire).await
}
