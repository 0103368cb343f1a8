//! Logging in and out.

use axum::Form;
use axum::extract::{Query, Request, State};
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{RequestExt, extract::rejection::FormRejection};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout;
use crate::access::check_origin;
use crate::problem::Problem;
use crate::state::WebState;

/// The page to return to after the login.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    next: String,
}

#[derive(Debug, Deserialize)]
struct Credentials {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// Shows the form.
pub(super) async fn form(State(state): State<WebState>, Query(Next { next }): Query<Next>) -> Response {
    if !state.access.has_login() {
        return layout::error(&state, None, &Problem::not_found("this monitor has no passwords"));
    }
    show(&state, &next, None)
}

/// Checks a name and a password.
pub(super) async fn log_in(State(state): State<WebState>, request: Request) -> Response {
    let client = state.access.client(&request);
    if let Err(problem) = check_origin(&request, &client) {
        return layout::error(&state, None, &problem);
    }
    let form: Result<Form<Credentials>, FormRejection> = request.extract().await;
    let Credentials { name, password, next } = match form {
        Ok(Form(credentials)) => credentials,
        Err(rejection) => {
            return layout::error(&state, None, &Problem::invalid_request(rejection.body_text()));
        }
    };
    match state.access.login(&client, &name, &password).await {
        Ok(cookie) => ([(SET_COOKIE, cookie)], Redirect::to(&local_path(&state, &next))).into_response(),
        Err(problem) => show(&state, &next, Some(&problem)),
    }
}

/// Ends the login.
pub(super) async fn log_out(State(state): State<WebState>, request: Request) -> Response {
    let client = state.access.client(&request);
    if let Err(problem) = check_origin(&request, &client) {
        return layout::error(&state, None, &problem);
    }
    let cookie = state.access.logout(request.headers(), &client);
    ([(SET_COOKIE, cookie)], Redirect::to(&state.path("/login"))).into_response()
}

/// The page to return to: a path of the monitor, and never another site.
fn local_path(state: &WebState, next: &str) -> String {
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_local = next.starts_with('/') && !next.starts_with("//");
    if is_plain && is_local { state.path(next) } else { state.path("/") }
}

fn show(state: &WebState, next: &str, problem: Option<&Problem>) -> Response {
    let content: Markup = html! {
        form.login method="post" action=(state.path("/login")) {
            h1 { "Log in to " (state.app.settings().app_id) }
            @if let Some(problem) = problem { p.error role="alert" { (problem.detail) } }
            input type="hidden" name="next" value=(next);
            label for="name" { "Name" }
            input #name name="name" autocomplete="username" required autofocus;
            label for="password" { "Password" }
            input #password name="password" type="password" autocomplete="current-password" required;
            button.primary type="submit" { "Log in" }
        }
    };
    let status = problem.map_or(axum::http::StatusCode::OK, Problem::code);
    (status, layout::bare(state, "Log in", &content)).into_response()
}
