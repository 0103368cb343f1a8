//! Workflow runs and their journals.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::{Path, Query};
use crate::model::{self, parse_id};
use crate::problem::{ApiResult, Problem};
use crate::state::WebState;

pub(super) fn routes() -> OpenApiRouter<WebState> {
    OpenApiRouter::new().routes(routes!(list_workflow_runs)).routes(routes!(read_journal))
}

/// List workflow runs, in the order in which they started
#[utoipa::path(get, path = "/workflows", tag = "workflows", params(model::WorkflowsQuery), responses(
    (status = OK, body = model::WorkflowRunPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn list_workflow_runs(
    State(state): State<WebState>,
    Query(query): Query<model::WorkflowsQuery>,
) -> ApiResult<model::WorkflowRunPage> {
    Ok(Json(model::workflow_runs(&state, &query).await?))
}

/// List the recorded operations of a workflow run
#[utoipa::path(get, path = "/workflows/{id}/journal", tag = "workflows", params(("id" = String, Path)), responses(
    (status = OK, body = Vec<model::JournalStep>), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn read_journal(State(state): State<WebState>, Path(id): Path<String>) -> ApiResult<Vec<model::JournalStep>> {
    Ok(Json(model::journal(&state, parse_id(&id)?).await?))
}
