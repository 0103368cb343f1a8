//! The frame of every page: head, menu, search and user.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use crate::access::User;
use crate::problem::Problem;
use crate::state::WebState;

/// The entries of the menu: title and path.
const MENU: &[(&str, &str)] = &[("Overview", "/")];

/// A page of the monitor.
pub(super) struct Page<'a> {
    pub(super) title: &'a str,
    /// The path of its entry in the menu.
    pub(super) section: &'a str,
    /// The path of the stream whose events make the page load its content again; empty for a page that stays as it is.
    pub(super) live: String,
    pub(super) content: Markup,
}

/// Renders a page for a user.
pub(super) fn render(state: &WebState, user: &User, page: &Page<'_>) -> Markup {
    let live = (!page.live.is_empty()).then(|| state.path(&page.live));
    document(state, page.title, &html! {
        header.top {
            a.brand href=(state.path("/")) { (state.app.settings().app_id) }
            nav aria-label="Pages" {
                @for (title, path) in MENU {
                    a href=(state.path(path)) aria-current=[(*path == page.section).then_some("page")] { (title) }
                }
            }
            (account(state, user))
        }
        main #content data-live=[live] { (page.content) }
    })
}

/// The user's name and the button to log out.
fn account(state: &WebState, user: &User) -> Markup {
    html! {
        div.account {
            span { (user.name) " (" (user.role) ")" }
            @if state.access.has_login() {
                form method="post" action=(state.path("/logout")) { button type="submit" { "Log out" } }
            }
        }
    }
}

/// Renders a page without a menu.
pub(super) fn bare(state: &WebState, title: &str, content: &Markup) -> Markup {
    document(state, title, &html! { main #content { (content) } })
}

/// Renders the reason why a page can't be shown.
pub(super) fn error(state: &WebState, user: Option<&User>, problem: &Problem) -> Response {
    let content = html! {
        h1 { (problem.title) }
        p.error role="alert" { (problem.detail) }
        p { a href=(state.path("/")) { "Overview" } }
    };
    let page = match user {
        Some(user) => {
            render(state, user, &Page { title: &problem.title, section: "", live: String::new(), content })
        }
        None => bare(state, &problem.title, &content),
    };
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, page).into_response()
}

fn document(state: &WebState, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (state.app.settings().app_id) }
                link rel="icon" type="image/svg+xml" href=(state.path("/assets/icon.svg"));
                link rel="stylesheet" href=(state.path("/assets/style.css"));
                script type="module" src=(state.path("/assets/monitor.js")) {}
            }
            body data-prefix=(state.config.prefix) { (body) }
        }
    }
}
