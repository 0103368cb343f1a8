//! The frame of every page: head, menu, search and user.

use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::visitor::Visitor;
use crate::problem::Problem;
use crate::state::WebState;

/// An entry of the menu.
struct Entry {
    title: &'static str,
    path: &'static str,
    /// The key that goes to the page, after `g`.
    key: &'static str,
    /// Whether the program has what the page shows.
    is_there: bool,
}

const fn entry(title: &'static str, path: &'static str, key: &'static str) -> Entry {
    Entry { title, path, key, is_there: true }
}

const MENU: &[Entry] = &[
    entry("Overview", "/", "o"),
    entry("Invocations", "/invocations", "i"),
    entry("Timeline", "/timeline", "t"),
    entry("Tasks", "/tasks", "k"),
    Entry { is_there: cfg!(feature = "triggers"), ..entry("Triggers", "/triggers", "r") },
    entry("Events", "/events", "e"),
    Entry { is_there: cfg!(feature = "workflow"), ..entry("Workflows", "/workflows", "w") },
    entry("Runners", "/runners", "u"),
    entry("Limits", "/limits", "l"),
    entry("Configuration", "/configuration", "c"),
];

/// A page of the monitor.
#[derive(Debug)]
pub(super) struct Page {
    title: String,
    section: &'static str,
    live: Option<String>,
    script: Option<&'static str>,
    content: Markup,
}

impl Page {
    /// A page. `section` is the path of its entry in the menu.
    pub(super) fn new(title: impl Into<String>, section: &'static str, content: Markup) -> Self {
        Self { title: title.into(), section, live: None, script: None, content }
    }

    /// Loads the page's content again whenever the stream of the API at this path has an event.
    pub(super) fn live(self, stream: impl Into<String>) -> Self {
        Self { live: Some(stream.into()), ..self }
    }

    /// Adds a script of the assets.
    pub(super) fn script(self, name: &'static str) -> Self {
        Self { script: Some(name), ..self }
    }
}

/// Renders a page for a visitor.
pub(super) fn render(visitor: &Visitor, page: &Page) -> Markup {
    let state = &visitor.state;
    let live = page.live.as_ref().map(|stream| state.path(&format!("/api/v1{stream}")));
    let body = html! {
        a.skip href="#content" { "Skip to the content" }
        header.top {
            a.brand href=(state.path("/")) { (state.app.settings().app_id) }
            nav aria-label="Pages" {
                @for entry in MENU.iter().filter(|entry| entry.is_there) {
                    a href=(state.path(entry.path)) data-key=(entry.key)
                        aria-current=[(entry.path == page.section).then_some("page")] { (entry.title) }
                }
            }
            form.search role="search" action=(state.path("/search")) {
                input #search name="q" type="search" placeholder="Id, task or text" aria-label="Search by id, task or text"
                    aria-keyshortcuts="/";
            }
            (account(visitor))
        }
        main #content tabindex="-1" data-live=[live] { (page.content) }
        (keys())
    };
    document(state, &page.title, page.script, &body)
}

/// The user's name, and the button to log out.
fn account(visitor: &Visitor) -> Markup {
    html! {
        div.account {
            span.connection hidden role="status" { "not connected" }
            span { (visitor.user.name) " · " (visitor.user.role) }
            @if visitor.state.access.has_login() {
                form method="post" action=(visitor.path("/logout")) { button.quiet type="submit" { "Log out" } }
            }
        }
    }
}

/// The list of keys, which the script shows.
fn keys() -> Markup {
    html! {
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { "Keys" }
            dl.pairs {
                dt { kbd { "/" } } dd { "search" }
                @for entry in MENU.iter().filter(|entry| entry.is_there) {
                    dt { kbd { "g" } " " kbd { (entry.key) } } dd { (entry.title) }
                }
                dt { kbd { "?" } } dd { "this list" }
            }
            form method="dialog" { button type="submit" { "Close" } }
        }
    }
}

/// Renders a page without a menu.
pub(super) fn bare(state: &WebState, title: &str, content: &Markup) -> Markup {
    document(state, title, None, &html! { main #content { (content) } })
}

/// Renders the reason why a page can't be shown.
pub(super) fn error(state: &WebState, visitor: Option<&Visitor>, problem: &Problem) -> Response {
    let content = html! {
        h1 { (problem.title) }
        p.notice.bad role="alert" { (problem.detail) }
        p { a href=(state.path("/")) { "Go to the overview" } }
    };
    let page = match visitor {
        Some(visitor) => render(visitor, &Page::new(problem.title.clone(), "", content)),
        None => bare(state, &problem.title, &content),
    };
    (problem.code(), page).into_response()
}

fn document(state: &WebState, title: &str, script: Option<&str>, body: &Markup) -> Markup {
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
                @if let Some(script) = script {
                    script type="module" src=(state.path(&format!("/assets/{script}"))) {}
                }
            }
            body data-prefix=(state.config.prefix) { (body) }
        }
    }
}
