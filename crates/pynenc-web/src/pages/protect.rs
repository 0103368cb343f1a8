//! Refuses a request of a page that its user may not send: shows the reason, or asks for a login.

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::layout;
use crate::state::WebState;
use crate::units::encoded;

/// Finds the user of a request, and adds it and the client to the extensions.
pub(super) async fn protect(State(state): State<WebState>, mut request: Request, next: Next) -> Response {
    let client = state.access.client(&request);
    match state.access.authenticate(&request, &client) {
        Ok(user) => {
            request.extensions_mut().insert(user);
            request.extensions_mut().insert(client);
            next.run(request).await
        }
        Err(problem) if problem.code() == StatusCode::UNAUTHORIZED && state.access.has_login() => {
            // After the login, the browser returns to the page.
            let wanted = request.uri().path_and_query().map_or("/", |path| path.as_str());
            let back =
                if request.method() == Method::GET { format!("?next={}", encoded(wanted)) } else { String::new() };
            Redirect::to(&state.path(&format!("/login{back}"))).into_response()
        }
        Err(problem) => layout::error(&state, None, &problem),
    }
}
