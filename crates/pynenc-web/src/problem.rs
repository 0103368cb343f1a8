//! Errors of the API as problem details ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)).

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use pynenc_core::ErrorKind;
use pynenc_engine::Error;
use pynenc_engine::task::VariantName;
use serde::Serialize;
use utoipa::ToSchema;

/// An error of the API, as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// The identity of the kind of problem: `urn:pynenc:problem:` and the kind.
    #[schema(example = "urn:pynenc:problem:UnknownTask")]
    pub r#type: String,
    /// The kind in words.
    #[schema(example = "The app doesn't know the task")]
    pub title: String,
    /// The status code of HTTP.
    #[schema(example = 422)]
    pub status: u16,
    /// The failure, its cause, and the next thing to do.
    pub detail: String,
    /// The kind: the name of the variant of the library's error type, or a kind of the API's own.
    #[schema(example = "UnknownTask")]
    pub kind: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

/// The result of a handler of the API.
pub(crate) type ApiResult<T> = Result<Json<T>, Problem>;

impl Problem {
    /// A problem of a kind that only the API has.
    pub(crate) fn new(status: StatusCode, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            r#type: format!("urn:pynenc:problem:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            kind: kind.to_owned(),
            retryable: false,
        }
    }

    pub(crate) fn invalid_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidRequest", "The request can't be read", detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "There is no such thing", detail)
    }

    pub(crate) fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthenticated", "The request needs a valid token or a login", detail)
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", "The request isn't allowed", detail)
    }

    pub(crate) fn too_many_requests(detail: impl Into<String>) -> Self {
        let title = "There were too many requests";
        Self { retryable: true, ..Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", title, detail) }
    }

    /// The status code of HTTP.
    pub(crate) fn code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, title) = describe(&error);
        Self { retryable: error.is_retryable(), ..Self::new(status, &error.variant_name(), title, error.to_string()) }
    }
}

impl From<pynenc_core::Error> for Problem {
    fn from(error: pynenc_core::Error) -> Self {
        Error::from(error).into()
    }
}

/// The status code and the title of each kind of error.
fn describe(error: &Error) -> (StatusCode, &'static str) {
    match error {
        Error::InvocationNotFound(_) => (StatusCode::NOT_FOUND, "There is no such invocation"),
        Error::UnknownTask { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "The app doesn't know the task"),
        Error::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "The call or the request is invalid"),
        Error::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "A value is too large"),
        Error::IdempotencyConflict { .. } => (StatusCode::CONFLICT, "The idempotency key belongs to another call"),
        Error::ArgumentsDiffer { .. } => (StatusCode::CONFLICT, "A call with other arguments already waits"),
        Error::ResultExpired(_) => (StatusCode::GONE, "The result is no longer stored"),
        Error::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "A store is unavailable"),
        Error::Timeout(_) => (StatusCode::GATEWAY_TIMEOUT, "The time limit is over"),
        Error::Component(error) if error.kind() == ErrorKind::NotFound => {
            (StatusCode::NOT_FOUND, "There is no such thing")
        }
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "The request failed"),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code();
        let mut response = (status, Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.retryable {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "TooLarge", "The request is too large", rejection.body_text())
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "UnsupportedMediaType",
                "The body isn't JSON",
                "send the body as JSON, with the header `Content-Type: application/json`",
            ),
            _ => Self::invalid_request(rejection.body_text()),
        }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::invalid_request(rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::invalid_request(rejection.body_text())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pynenc_core::InvocationId;

    use super::*;

    #[test]
    fn a_problem_has_the_kind_of_the_library_s_error() {
        let core = pynenc_core::Error::unavailable("connection refused");
        for (error, status, kind, retryable) in [
            (Error::InvocationNotFound(InvocationId::new()), 404, "InvocationNotFound", false),
            (Error::UnknownTask { task: "pay".into(), known: Vec::new() }, 422, "UnknownTask", false),
            (Error::Unavailable { retryable: true, source: core }, 503, "Unavailable", true),
            (Error::Timeout(Duration::from_secs(1)), 504, "Timeout", false),
        ] {
            let problem = Problem::from(error);
            assert_eq!((problem.status, &*problem.kind, problem.retryable), (status, kind, retryable));
            assert_eq!(problem.r#type, format!("urn:pynenc:problem:{kind}"));
        }
    }
}
