//! The pages of the monitor, rendered on the server.
//!
//! Every page works without scripts. `monitor.js` adds what needs one: times in the viewer's zone, live updates, the
//! keyboard, and the timeline. `maud` escapes every text that it is given.

mod layout;
mod login;
mod overview;
mod protect;
mod widgets;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::{Extension, response::Response};

use crate::access::User;
use crate::problem::Problem;
use crate::state::WebState;

/// The pages that nobody has to log in for.
pub(crate) fn public() -> Router<WebState> {
    Router::new().route("/login", get(login::form).post(login::log_in)).route("/logout", axum::routing::post(login::log_out))
}

/// The pages for users.
pub(crate) fn router(state: &WebState) -> Router<WebState> {
    Router::new()
        .route("/", get(overview::page))
        .fallback(not_found)
        .layer(from_fn_with_state(state.clone(), protect::protect))
}

async fn not_found(State(state): State<WebState>, Extension(user): Extension<User>) -> Response {
    let problem = Problem::new(StatusCode::NOT_FOUND, "NotFound", "There is no such page", "see the menu");
    layout::error(&state, Some(&user), &problem)
}
