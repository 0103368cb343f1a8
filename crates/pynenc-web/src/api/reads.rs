//! Reading: invocations, queues, runners, tasks, limits and settings.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::{Path, Query};
use crate::model::{self, parse_id};
use crate::problem::{ApiResult, Problem};
use crate::readings::{Overview, Queue};
use crate::state::WebState;

pub(super) fn routes() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(read_overview))
        .routes(routes!(list_invocations))
        .routes(routes!(read_invocation))
        .routes(routes!(read_outcome))
        .routes(routes!(explain_invocation))
        .routes(routes!(read_tree))
        .routes(routes!(read_timeline))
        .routes(routes!(list_queues))
        .routes(routes!(list_runners))
        .routes(routes!(list_tasks))
        .routes(routes!(read_task_statistics))
        .routes(routes!(read_limits))
        .routes(routes!(list_settings))
}

/// The state of the app at a glance
#[utoipa::path(get, path = "/overview", tag = "app", responses(
    (status = OK, body = Overview), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn read_overview(State(state): State<WebState>) -> ApiResult<Arc<Overview>> {
    Ok(Json(state.readings.overview(&state.app).await?))
}

/// List invocations
#[utoipa::path(get, path = "/invocations", tag = "invocations", params(model::InvocationsQuery), responses(
    (status = OK, body = model::InvocationPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn list_invocations(
    State(state): State<WebState>,
    Query(query): Query<model::InvocationsQuery>,
) -> ApiResult<model::InvocationPage> {
    Ok(Json(model::invocations(&state, &query).await?))
}

/// Read an invocation with its call, history and outcome
#[utoipa::path(get, path = "/invocations/{id}", tag = "invocations", params(("id" = String, Path)), responses(
    (status = OK, body = model::Invocation), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn read_invocation(State(state): State<WebState>, Path(id): Path<String>) -> ApiResult<model::Invocation> {
    Ok(Json(model::invocation(&state, parse_id(&id)?).await?))
}

/// The time for which a request waits.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wait {
    /// How long the request waits for the outcome, such as `30s`; at most `5m`, and `0s` by default.
    wait: Option<String>,
}

/// Wait for the outcome of an invocation
#[utoipa::path(get, path = "/invocations/{id}/outcome", tag = "invocations", params(("id" = String, Path), Wait), responses(
    (status = OK, body = model::Outcome), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn read_outcome(
    State(state): State<WebState>,
    Path(id): Path<String>,
    Query(Wait { wait }): Query<Wait>,
) -> ApiResult<model::Outcome> {
    Ok(Json(model::outcome_within(&state, parse_id(&id)?, wait.as_deref()).await?))
}

/// Why an invocation isn't running.
#[derive(Debug, Serialize, ToSchema)]
struct Explanation {
    /// A sentence.
    sentence: String,
    /// The reason as data, with `why` as its kind.
    #[schema(value_type = std::collections::HashMap<String, serde_json::Value>)]
    reason: pynenc_engine::Why,
}

/// Explain why an invocation isn't running
#[utoipa::path(get, path = "/invocations/{id}/why", tag = "invocations", params(("id" = String, Path)), responses(
    (status = OK, body = Explanation), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn explain_invocation(State(state): State<WebState>, Path(id): Path<String>) -> ApiResult<Explanation> {
    let reason = model::why(&state, parse_id(&id)?).await?;
    Ok(Json(Explanation { sentence: reason.to_string(), reason }))
}

/// The invocations that an invocation called, directly or not, with the critical path
#[utoipa::path(get, path = "/invocations/{id}/tree", tag = "invocations", params(("id" = String, Path)), responses(
    (status = OK, body = model::Tree), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn read_tree(State(state): State<WebState>, Path(id): Path<String>) -> ApiResult<model::Tree> {
    Ok(Json(model::tree(&state, parse_id(&id)?).await?))
}

/// List invocations with the times and the runners of their statuses, for a timeline
#[utoipa::path(get, path = "/timeline", tag = "invocations", params(model::TimelineQuery), responses(
    (status = OK, body = model::Timeline), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn read_timeline(
    State(state): State<WebState>,
    Query(query): Query<model::TimelineQuery>,
) -> ApiResult<model::Timeline> {
    Ok(Json(model::timeline(&state, &query).await?))
}

/// List queues
#[utoipa::path(get, path = "/queues", tag = "app", responses(
    (status = OK, body = Vec<Queue>), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn list_queues(State(state): State<WebState>) -> ApiResult<Vec<Queue>> {
    Ok(Json(state.readings.overview(&state.app).await?.queues.clone()))
}

/// List runners
#[utoipa::path(get, path = "/runners", tag = "app", responses(
    (status = OK, body = Vec<model::Runner>), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn list_runners(State(state): State<WebState>) -> ApiResult<Vec<model::Runner>> {
    Ok(Json(model::runners(&state).await?))
}

/// List tasks
#[utoipa::path(get, path = "/tasks", tag = "app", responses(
    (status = OK, body = Vec<model::Task>), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn list_tasks(State(state): State<WebState>) -> ApiResult<Vec<model::Task>> {
    Ok(Json(model::tasks(&state).await?))
}

/// Statistics of the last finished invocations of a task
#[utoipa::path(get, path = "/tasks/{name}/statistics", tag = "app", params(("name" = String, Path)), responses(
    (status = OK, body = model::TaskStatistics), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn read_task_statistics(
    State(state): State<WebState>,
    Path(name): Path<String>,
) -> ApiResult<model::TaskStatistics> {
    Ok(Json(model::statistics(&state, &name).await?))
}

/// The concurrency limits that block invocations, and the last deadlocks
#[utoipa::path(get, path = "/limits", tag = "app", responses(
    (status = OK, body = model::Limits), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn read_limits(State(state): State<WebState>) -> ApiResult<model::Limits> {
    Ok(Json(model::limits(&state).await?))
}

/// The settings of the server's process, with secrets masked
#[utoipa::path(get, path = "/settings", tag = "app", responses(
    (status = OK, body = Vec<model::Setting>), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn list_settings(State(state): State<WebState>) -> ApiResult<Vec<model::Setting>> {
    Ok(Json(model::settings(&state)))
}
