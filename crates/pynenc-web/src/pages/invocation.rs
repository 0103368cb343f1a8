//! One invocation: call, outcome, attempts, history and relatives; cancel and retry.

use axum::extract::{Form, Path, Query};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::layout::Page;
use super::visitor::Visitor;
use super::widgets;
use crate::actions::{self, Children};
use crate::model::{Attempt, Failure, HistoryLine, Invocation, Outcome, invocation, parse_id};
use crate::problem::Problem;

/// The maximum number of children that the page lists.
const MAX_CHILDREN: usize = 100;

/// The action that led to the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Done {
    done: String,
}

impl Done {
    /// The name of the action; empty if no action led to the page.
    pub(super) fn name(&self) -> &str {
        &self.done
    }
}

/// Shows an invocation.
pub(super) async fn page(visitor: Visitor, Path(id): Path<String>, Query(done): Query<Done>) -> Response {
    let page = async {
        let invocation = invocation(&visitor.state, parse_id(&id)?).await?;
        let title = format!("{} {}", invocation.row.task, invocation.row.id);
        let page = Page::new(title, "/invocations", content(&visitor, &invocation, done.name()));
        let is_final = invocation.row.status.is_final();
        Ok::<_, Problem>(if is_final { page } else { page.live(format!("/invocations/{id}/stream")) })
    };
    visitor.show(page.await)
}

/// The form of a cancel.
#[derive(Debug, Deserialize)]
pub(super) struct CancelForm {
    #[serde(default)]
    children: Children,
}

/// Cancels an invocation.
pub(super) async fn cancel(visitor: Visitor, Path(id): Path<String>, Form(form): Form<CancelForm>) -> Response {
    let cancel = async { actions::cancel(&visitor.state, &visitor.user, parse_id(&id)?, form.children).await };
    let done = |finished| if finished { "cancelled" } else { "stop-requested" };
    visitor.done(cancel.await, |finished| format!("/invocations/{id}?done={}", done(finished)))
}

/// Submits a finished invocation again, and goes to the new one.
pub(super) async fn retry(visitor: Visitor, Path(id): Path<String>) -> Response {
    let retry = async { actions::retry(&visitor.state, &visitor.user, parse_id(&id)?).await };
    visitor.done(retry.await, |new| format!("/invocations/{new}?done=retried"))
}

fn content(visitor: &Visitor, it: &Invocation, done: &str) -> Markup {
    let notice = match done {
        "cancelled" => "The invocation is finished.",
        "stop-requested" => "The runner was asked to stop the invocation.",
        "retried" => "This invocation repeats the other one.",
        "submitted" => "The call was submitted.",
        _ => "",
    };
    html! {
        @if !notice.is_empty() { p.notice.good role="status" { (notice) } }
        h1 { (widgets::task(visitor, &it.row.task)) " " (widgets::status(it.row.status)) }
        p.id { (it.row.id) }
        p.why { (it.why) }
        (actions(visitor, it))
        @if let Some(outcome) = &it.outcome { (outcome_section(outcome)) }
        (call(visitor, it))
        (attempts(visitor, &it.attempts))
        (history(visitor, &it.history))
        (children(visitor, it))
        (tools(visitor, it))
    }
}

fn actions(visitor: &Visitor, it: &Invocation) -> Markup {
    let path = |action: &str| visitor.path(&format!("/invocations/{}/{action}", it.row.id));
    html! {
        div.actions {
            @if visitor.may_act() && it.row.status.is_final() {
                form method="post" action=(path("retry")) { button.primary type="submit" { "Retry" } }
            }
            @if visitor.may_act() && !it.row.status.is_final() {
                form method="post" action=(path("cancel")) {
                    button.danger type="submit" { "Cancel" }
                    label { "with"
                        select name="children" {
                            option value="awaited" { "the calls that it waits for" }
                            option value="none" { "no other call" }
                            option value="all" { "all its calls" }
                        }
                    }
                }
            }
            a.button href=(path("tree")) { "Family tree" }
            a.button href=(visitor.path(&format!("/api/v1/invocations/{}", it.row.id))) { "JSON" }
        }
    }
}

fn outcome_section(outcome: &Outcome) -> Markup {
    html! {
        section {
            h2 { @if outcome.error.is_some() { "Error" } @else { "Result" } }
            @match (&outcome.value, &outcome.error) {
                (Some(value), _) => pre tabindex="0" { (pretty(value)) },
                (None, Some(error)) => (failure(error)),
                (None, None) => p.empty { "The result is hidden; see the setting " code { "web.arguments" } "." },
            }
        }
    }
}

fn failure(error: &Failure) -> Markup {
    html! {
        p { strong { (error.task_error.as_deref().unwrap_or(&error.kind)) } }
        @match &error.message {
            Some(message) => pre.error tabindex="0" { (message) },
            None => p.empty { "The message is hidden; see the setting " code { "web.arguments" } "." },
        }
        @for source in &error.sources { p { "caused by: " (source) } }
    }
}

fn call(visitor: &Visitor, it: &Invocation) -> Markup {
    let row = &it.row;
    html! {
        section {
            h2 { "Call" }
            @match (&it.argument_values, &row.arguments) {
                (Some(values), _) => pre tabindex="0" { (pretty(values)) },
                (None, Some(text)) => pre tabindex="0" { (text) },
                (None, None) => p.empty { "The arguments are hidden; see the setting " code { "web.arguments" } "." },
            }
            dl.pairs {
                @if let Some(at) = row.created_at { dt { "Submitted" } dd { (widgets::time(at)) } }
                dt { "Queue" } dd { (row.queue) }
                dt { "Priority" } dd { (row.priority) }
                @if let Some(due) = row.due { dt { "Due" } dd { (widgets::time(due)) } }
                @if let Some(runner) = row.runner { dt { "Runner" } dd { (widgets::runner(visitor, runner)) } }
                @if let Some(id) = it.parent { dt { "Called by" } dd { (widgets::invocation(visitor, id)) } }
                @if let Some(id) = it.workflow { dt { "Workflow" } dd { (widgets::invocation(visitor, id)) } }
                @if let Some(id) = it.retry_of { dt { "Retry of" } dd { (widgets::invocation(visitor, id)) } }
                @if let Some(trace) = &it.traceparent { dt { "Trace" } dd { code { (trace) } } }
            }
        }
    }
}

fn attempts(visitor: &Visitor, attempts: &[Attempt]) -> Markup {
    let head = ["#Attempt", "Runner", "Claimed", "#Started after", "#Ran for", "Outcome", "Error"];
    html! {
        @if !attempts.is_empty() {
            section {
                h2 { "Attempts" }
                (widgets::table("Attempts", &head, &html! {
                    @for attempt in attempts {
                        tr {
                            td.number { (attempt.number) }
                            td { @if let Some(runner) = attempt.runner { (widgets::runner(visitor, runner)) } }
                            td { (widgets::time(attempt.claimed_at)) }
                            td.number { @if let Some(at) = attempt.started_at { (widgets::duration(at.saturating_sub(attempt.claimed_at))) } }
                            td.number {
                                @if let (Some(started), Some(ended)) = (attempt.started_at, attempt.ended_at) {
                                    (widgets::duration(ended.saturating_sub(started)))
                                }
                            }
                            td { (widgets::status(attempt.status)) " " (attempt.reason) }
                            td.text { (attempt.error.as_deref().unwrap_or_default()) }
                        }
                    }
                }))
            }
        }
    }
}

fn history(visitor: &Visitor, lines: &[HistoryLine]) -> Markup {
    html! {
        section {
            h2 { "History" }
            (widgets::table("History", &["At", "Status", "Reason", "Runner", "Detail"], &html! {
                @for line in lines {
                    tr {
                        td { (widgets::time(line.at)) }
                        td { (widgets::status(line.status)) }
                        td { (line.reason) }
                        td { @if let Some(runner) = line.runner { (widgets::runner(visitor, runner)) } }
                        td.text { (line.detail.as_deref().unwrap_or_default()) }
                    }
                }
            }))
        }
    }
}

fn children(visitor: &Visitor, it: &Invocation) -> Markup {
    html! {
        @if !it.children.is_empty() {
            section {
                h2 { "Calls that it made" }
                ul.ids { @for child in it.children.iter().take(MAX_CHILDREN) { li { (widgets::invocation(visitor, *child)) } } }
                @if it.children.len() > MAX_CHILDREN {
                    p { (it.children.len() - MAX_CHILDREN) " more; see the "
                        a href=(visitor.path(&format!("/invocations/{}/tree", it.row.id))) { "family tree" } "." }
                }
            }
        }
    }
}

/// The command that submits the same call.
fn tools(visitor: &Visitor, it: &Invocation) -> Markup {
    html! {
        @if let Some(arguments) = &it.argument_values {
            details {
                summary { "The same call with curl" }
                div.copy { pre tabindex="0" { (curl(&visitor.client.origin(), &visitor.path("/api/v1/invocations"), &it.row.task, arguments)) } }
            }
        }
    }
}

fn curl(origin: &str, path: &str, task: &str, arguments: &Value) -> String {
    let body = json!({"task": task, "arguments": arguments}).to_string();
    let (url, body) = (quoted(&format!("{origin}{path}")), quoted(&body));
    format!("curl {url} \\\n  --header 'Content-Type: application/json' \\\n  --data {body}")
}

/// A text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_quoted_for_the_shell() {
        let arguments = json!({"text": "it's $HOME `x` \"y\""});
        let command = curl("http://h:1", "/api", "say", &arguments);
        let data = r#"--data '{"arguments":{"text":"it'\''s $HOME `x` \"y\""},"task":"say"}'"#;
        assert!(command.starts_with("curl 'http://h:1/api' ") && command.ends_with(data), "{command}");
    }
}
