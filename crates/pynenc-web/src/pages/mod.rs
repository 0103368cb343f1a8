//! The pages of the monitor, rendered on the server.
//!
//! Every page works without scripts. `monitor.js` adds what needs one: times in the viewer's zone, live updates and the
//! keyboard; `timeline.js` draws the timeline. `maud` escapes every text that it is given.
//!
//! | file | holds |
//! |---|---|
//! | `protect.rs`, `login.rs` | who may see a page; logging in and out |
//! | `visitor.rs`, `respond.rs` | the visitor, and the responses to them |
//! | `layout.rs`, `widgets.rs` | the frame of every page, and small parts of pages |
//! | the others | a page each, with its actions |

mod configuration;
mod events;
mod invocation;
mod invocations;
mod layout;
mod limits;
mod login;
mod overview;
mod protect;
mod respond;
mod runners;
mod search;
mod tasks;
mod timeline;
mod tree;
#[cfg(feature = "triggers")]
mod triggers;
mod visitor;
mod widgets;
#[cfg(feature = "workflow")]
mod workflows;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};

use self::visitor::Visitor;
use crate::problem::Problem;
use crate::state::WebState;

/// The pages that nobody has to log in for.
pub(crate) fn public() -> Router<WebState> {
    Router::new().route("/login", get(login::form).post(login::log_in)).route("/logout", post(login::log_out))
}

/// The pages for users.
pub(crate) fn router(state: &WebState) -> Router<WebState> {
    let router = Router::new()
        .route("/", get(overview::page))
        .route("/search", get(search::go))
        .route("/invocations", get(invocations::page))
        .route("/invocations/{id}", get(invocation::page))
        .route("/invocations/{id}/cancel", post(invocation::cancel))
        .route("/invocations/{id}/retry", post(invocation::retry))
        .route("/invocations/{id}/tree", get(tree::page))
        .route("/timeline", get(timeline::page))
        .route("/tasks", get(tasks::list))
        .route("/tasks/{name}", get(tasks::page))
        .route("/tasks/{name}/call", post(tasks::call))
        .route("/events", get(events::page).post(events::emit))
        .route("/runners", get(runners::list))
        .route("/runners/{id}", get(runners::page))
        .route("/limits", get(limits::page))
        .route("/configuration", get(configuration::page));
    #[cfg(feature = "triggers")]
    let router = router
        .route("/triggers", get(triggers::list))
        .route("/triggers/{id}", get(triggers::page))
        .route("/triggers/{id}/pause", post(triggers::pause))
        .route("/triggers/{id}/resume", post(triggers::resume))
        .route("/triggers/{id}/fire", post(triggers::fire));
    #[cfg(feature = "workflow")]
    let router = router.route("/workflows", get(workflows::list)).route("/workflows/{id}", get(workflows::page));
    router.fallback(not_found).layer(from_fn_with_state(state.clone(), protect::protect))
}

async fn not_found(visitor: Visitor) -> Response {
    let problem = Problem::new(StatusCode::NOT_FOUND, "NotFound", "There is no such page", "The menu lists all pages.");
    visitor.show(Err(problem))
}
