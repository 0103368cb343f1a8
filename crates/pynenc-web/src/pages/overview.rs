//! The overview: numbers, activity, alerts and queues.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::layout::{self, Page};
use super::widgets;
use crate::access::User;
use crate::problem::Problem;
use crate::readings::{Overview, Queue};
use crate::state::WebState;

/// Shows the overview.
pub(super) async fn page(State(state): State<WebState>, Extension(user): Extension<User>) -> Response {
    match state.readings.overview(&state.app).await {
        Ok(overview) => {
            let live = "/api/v1/overview/stream".to_owned();
            let page = Page { title: "Overview", section: "/", live, content: content(&state, &overview) };
            layout::render(&state, &user, &page).into_response()
        }
        Err(error) => layout::error(&state, Some(&user), &Problem::from(error)),
    }
}

fn content(state: &WebState, overview: &Overview) -> Markup {
    html! {
        h1 { "Overview" }
        @for alert in &overview.alerts {
            p.alert role="status" { a href=(state.path(&alert.page)) { (alert.message) } }
        }
        @if !overview.statuses.is_empty() {
            ul.numbers {
                @for (status, count) in &overview.statuses {
                    li { (widgets::status(*status)) " " strong { (count) } }
                }
            }
        }
        h2 { "Queues" }
        (queues(&overview.queues))
    }
}

fn queues(queues: &[Queue]) -> Markup {
    let number = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    html! {
        table {
            thead { tr { th { "Queue" } th { "Waiting" } th { "Ready" } th { "Delayed" } th { "Blocked" } th { "Oldest" } th { "Runners" } } }
            tbody {
                @for queue in queues {
                    tr {
                        td { (queue.name) }
                        td { (queue.waiting) }
                        td { (number(queue.ready)) }
                        td { (number(queue.delayed)) }
                        td { (number(queue.blocked)) }
                        td { @if let Some(age) = queue.oldest_ready_ms { (widgets::duration(age)) } }
                        td { (queue.runners) }
                    }
                }
            }
        }
    }
}
