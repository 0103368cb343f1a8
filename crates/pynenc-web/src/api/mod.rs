//! The endpoints under `/api/v1`, and the `OpenAPI` document that describes them.

mod actions;
mod reads;
mod stream;
#[cfg(feature = "triggers")]
mod triggers;
#[cfg(feature = "workflow")]
mod workflows;

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::problem::Problem;
use crate::state::WebState;

/// The head of the document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "pynenc",
        description = "Submit calls to a pynenc app, and read and change its invocations, triggers and workflows.\n\n\
            Times are milliseconds since 1970 (UTC). Errors are problem details (RFC 9457), with the kinds of the \
            library's errors.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(Problem)),
    modifiers(&Security),
    tags(
        (name = "invocations", description = "Calls, their results, and changes of them"),
        (name = "app", description = "The state of the app"),
        (name = "triggers", description = "Triggers"),
        (name = "workflows", description = "Workflow runs"),
        (name = "streams", description = "Server-sent events"),
    ),
)]
struct Document;

/// The ways to authenticate.
struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("token", bearer);
        let none = SecurityRequirement::default();
        document.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new()), none]);
    }
}

fn endpoints() -> OpenApiRouter<WebState> {
    let router = OpenApiRouter::with_openapi(Document::openapi());
    let router = router.merge(reads::routes()).merge(actions::routes()).merge(stream::routes());
    #[cfg(feature = "triggers")]
    let router = router.merge(triggers::routes());
    #[cfg(feature = "workflow")]
    let router = router.merge(workflows::routes());
    router
}

/// The `OpenAPI` document of the API, as JSON. Paths begin at the server's prefix.
pub fn openapi() -> serde_json::Value {
    serde_json::to_value(document(endpoints().split_for_parts().1, "")).unwrap_or_default()
}

fn document(mut document: utoipa::openapi::OpenApi, prefix: &str) -> utoipa::openapi::OpenApi {
    document.servers = Some(vec![utoipa::openapi::Server::new(format!("{prefix}/api/v1"))]);
    document
}

/// The router of the API.
pub(crate) fn router(prefix: &str) -> Router<WebState> {
    let (router, api) = endpoints().split_for_parts();
    let api = document(api, prefix);
    router
        .route("/openapi.json", get(|| async move { Json(api) }))
        .fallback(|| async { Problem::not_found("there is no such endpoint; see `openapi.json`") })
        .method_not_allowed_fallback(|| async {
            let title = "The endpoint doesn't have the method";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", title, "see `openapi.json`")
        })
}
