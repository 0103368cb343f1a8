//! Changing: submit, cancel, retry, emit.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::User;
use crate::actions::{self, Children, NewCall, NewEvent};
use crate::extract::{Body, Path};
use crate::model::{self, parse_id};
use crate::problem::{ApiResult, Problem};
use crate::state::WebState;

pub(super) fn routes() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(submit_call))
        .routes(routes!(cancel_invocation))
        .routes(routes!(retry_invocation))
        .routes(routes!(emit_event))
}

/// Submit a call
///
/// A call that was accepted is never lost. If the connection breaks before the reply, repeat the request with the same
/// `idempotency_key`.
#[utoipa::path(post, path = "/invocations", tag = "invocations", request_body = NewCall, responses(
    (status = CREATED, body = model::Submission, description = "The call is accepted"),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn submit_call(
    State(state): State<WebState>,
    Extension(user): Extension<User>,
    Body(call): Body<NewCall>,
) -> Result<(StatusCode, Json<model::Submission>), Problem> {
    Ok((StatusCode::CREATED, Json(actions::submit(&state, &user, call).await?)))
}

/// How an invocation is cancelled.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct CancelOptions {
    /// The children that are cancelled too.
    children: Children,
}

/// Whether a cancelled invocation has finished.
#[derive(Debug, Serialize, ToSchema)]
struct Cancelled {
    /// Whether the invocation has finished, now or before. Otherwise its runner was asked to stop it.
    finished: bool,
}

/// Cancel an invocation
#[utoipa::path(post, path = "/invocations/{id}/cancel", tag = "invocations", params(("id" = String, Path)),
    request_body = CancelOptions, responses(
    (status = OK, body = Cancelled), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn cancel_invocation(
    State(state): State<WebState>,
    Extension(user): Extension<User>,
    Path(id): Path<String>,
    Body(options): Body<CancelOptions>,
) -> ApiResult<Cancelled> {
    let finished = actions::cancel(&state, &user, parse_id(&id)?, options.children).await?;
    Ok(Json(Cancelled { finished }))
}

/// Submit a finished invocation again
///
/// Retrying the same invocation again returns the same new invocation.
#[utoipa::path(post, path = "/invocations/{id}/retry", tag = "invocations", params(("id" = String, Path)), responses(
    (status = CREATED, body = model::Submission), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn retry_invocation(
    State(state): State<WebState>,
    Extension(user): Extension<User>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<model::Submission>), Problem> {
    let id = actions::retry(&state, &user, parse_id(&id)?).await?;
    Ok((StatusCode::CREATED, Json(model::Submission { id, outcome: None })))
}

/// An event in the event log.
#[derive(Debug, Serialize, ToSchema)]
struct Emitted {
    /// The position in the event log.
    position: u64,
}

/// Append an event to the event log, for triggers and for workflows that wait for it
#[utoipa::path(post, path = "/events", tag = "app", request_body = NewEvent, responses(
    (status = CREATED, body = Emitted), (status = "default", body = Problem, content_type = "application/problem+json")))]
async fn emit_event(
    State(state): State<WebState>,
    Extension(user): Extension<User>,
    Body(event): Body<NewEvent>,
) -> Result<(StatusCode, Json<Emitted>), Problem> {
    Ok((StatusCode::CREATED, Json(Emitted { position: actions::emit(&state, &user, &event).await? })))
}
