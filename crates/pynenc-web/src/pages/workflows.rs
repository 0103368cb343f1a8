//! Workflow runs: the list, and the journal of one.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use axum::response::Response;
use maud::{Markup, html};

use super::layout::Page;
use super::visitor::Visitor;
use super::widgets;
use crate::model::{self, Invocation, JournalStep, WorkflowRunPage, WorkflowsQuery, parse_id};
use crate::problem::Problem;

/// Lists the runs.
pub(super) async fn list(visitor: Visitor, query: Result<Query<WorkflowsQuery>, QueryRejection>) -> Response {
    let page = async {
        let Query(query) = query?;
        let page = model::workflow_runs(&visitor.state, &query).await?;
        Ok::<_, Problem>(Page::new("Workflows", "/workflows", list_content(&visitor, &query, &page)))
    };
    visitor.show(page.await)
}

fn list_content(visitor: &Visitor, query: &WorkflowsQuery, page: &WorkflowRunPage) -> Markup {
    html! {
        h1 { "Workflow runs" }
        p { "In the order in which they started." }
        @if page.items.is_empty() { p.empty { "No workflow has started, or the retention of all of them is over." } }
        @else {
            (widgets::table("Workflow runs", &["Run", "Workflow", "Status", "Since", "Resumes", "Retry of"], &html! {
                @for run in &page.items {
                    tr {
                        td { a.id href=(visitor.path(&format!("/workflows/{}", run.id))) { (run.id) } }
                        td { (widgets::task(visitor, &run.task)) }
                        td { (widgets::status(run.status)) }
                        td { (widgets::time(run.at)) }
                        td { @if let Some(due) = run.due.filter(|_| !run.status.is_final()) { (widgets::time(due)) } }
                        td { @if let Some(id) = run.retry_of { (widgets::invocation(visitor, id)) } }
                    }
                }
            }))
        }
        nav.pages aria-label="Pages of the list" {
            @if query.cursor.is_some() { a href=(visitor.path("/workflows")) { "First page" } }
            @if let Some(next) = &page.next {
                a rel="next" href=(visitor.path(&format!("/workflows{}", widgets::query(&[("cursor", next)])))) { "Next page" }
            }
        }
    }
}

/// Shows a run with its journal.
pub(super) async fn page(visitor: Visitor, Path(id): Path<String>) -> Response {
    let page = async {
        let parsed = parse_id(&id)?;
        let (run, steps) =
            (model::invocation(&visitor.state, parsed).await?, model::journal(&visitor.state, parsed).await?);
        let is_final = run.row.status.is_final();
        let page = Page::new(format!("{} {id}", run.row.task), "/workflows", content(&visitor, &run, &steps));
        Ok::<_, Problem>(if is_final { page } else { page.live(format!("/invocations/{id}/stream")) })
    };
    visitor.show(page.await)
}

fn content(visitor: &Visitor, run: &Invocation, steps: &[JournalStep]) -> Markup {
    html! {
        h1 { (widgets::task(visitor, &run.row.task)) " " (widgets::status(run.row.status)) }
        p.id { (run.row.id) }
        p.why { (run.why) }
        div.actions {
            a.button href=(visitor.invocation_path(run.row.id)) { "Invocation" }
            a.button href=(visitor.path(&format!("/invocations/{}/tree", run.row.id))) { "Family tree" }
        }
        section {
            h2 { "Journal" }
            p {
                "The recorded operations. Each attempt replays them in this order, and performs only those that come after."
            }
            @if steps.is_empty() { p.empty { "The journal is empty." } }
            @else { (journal(run, steps)) }
        }
    }
}

fn journal(run: &Invocation, steps: &[JournalStep]) -> Markup {
    // The operations that were recorded before an attempt started are replayed by it.
    let started = run.attempts.iter().rev().find_map(|attempt| attempt.started_at);
    let is_replayed = |step: &JournalStep| started.is_some_and(|started| step.at < started);
    let mut before = None;
    let waits: Vec<_> =
        steps.iter().map(|step| before.replace(step.at).map(|at: u64| step.at.saturating_sub(at))).collect();
    widgets::table(
        "Journal",
        &["Position", "Kind", "Name", "Recorded", "#After", "In the last attempt", "Value"],
        &html! {
            @for (step, wait) in steps.iter().zip(waits) {
                tr {
                    td { code { (step.position) } }
                    td { (step.kind) }
                    td.text { (step.name) }
                    td { (widgets::time(step.at)) }
                    td.number { @if let Some(wait) = wait { (widgets::duration(wait)) } }
                    td { @if is_replayed(step) { span.status.scheduled { "replayed" } } @else { span.status.running { "performed" } } }
                    td.text {
                        @if step.failed { span.status.failed { "failed" } " " }
                        @if let Some(value) = &step.value { code { (value) } } @else { "hidden" }
                    }
                }
            }
        },
    )
}
