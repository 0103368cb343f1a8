//! The list of invocations, filtered.

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use pynenc_core::Status;
use pynenc_core::config::ArgumentPrinting;

use super::layout::Page;
use super::visitor::Visitor;
use super::widgets;
use crate::model::{InvocationPage, InvocationsQuery, invocations};
use crate::problem::Problem;

/// Shows the list.
pub(super) async fn page(
    visitor: Visitor,
    query: Result<Query<InvocationsQuery>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let page = async {
        let Query(filter) = query?;
        let page = invocations(&visitor.state, &filter).await?;
        let stream = format!("/invocations/stream{}", pairs(&filter, filter.cursor.as_deref().unwrap_or_default()));
        Ok::<_, Problem>(Page::new("Invocations", "/invocations", content(&visitor, &filter, &page)).live(stream))
    };
    visitor.show(page.await)
}

/// The query of a filter at a position.
fn pairs(filter: &InvocationsQuery, cursor: &str) -> String {
    let InvocationsQuery { status, task, queue, since, until, text, workflow, runner, order, cursor: _, limit } =
        filter;
    let limit = limit.map(|limit| limit.to_string());
    let pairs = [
        ("status", status),
        ("task", task),
        ("queue", queue),
        ("since", since),
        ("until", until),
        ("text", text),
        ("workflow", workflow),
        ("runner", runner),
        ("order", order),
        ("limit", &limit),
    ];
    let mut pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_deref().unwrap_or_default())).collect();
    pairs.push(("cursor", cursor));
    widgets::query(&pairs)
}

fn content(visitor: &Visitor, filter: &InvocationsQuery, page: &InvocationPage) -> Markup {
    html! {
        h1 { "Invocations" }
        (form(visitor, filter))
        @if page.items.is_empty() {
            p.empty {
                @if page.next.is_some() { "None of the examined invocations matches; there are more." }
                @else { "No invocation matches." }
            }
        } @else {
            (widgets::invocations(visitor, "Invocations", &page.items))
        }
        nav.pages aria-label="Pages of the list" {
            @if filter.cursor.is_some() {
                a href=(visitor.path(&format!("/invocations{}", pairs(filter, "")))) { "First page" }
            }
            @if let Some(next) = &page.next {
                a rel="next" href=(visitor.path(&format!("/invocations{}", pairs(filter, next)))) { "Next page" }
            }
        }
    }
}

fn form(visitor: &Visitor, filter: &InvocationsQuery) -> Markup {
    let chosen = filter.status.as_deref().unwrap_or_default();
    let is_oldest_first = filter.order.as_deref() == Some("oldest");
    html! {
        form.filter method="get" action=(visitor.path("/invocations")) {
            label { "Status"
                select name="status" {
                    option value="" { "any" }
                    @for status in Status::ALL {
                        option value=(status) selected[chosen == status.as_str()] { (status) }
                    }
                    @if chosen.contains(',') { option value=(chosen) selected { (chosen) } }
                }
            }
            (field("Task", "task", filter.task.as_deref(), "name or its end"))
            (field("Queue", "queue", filter.queue.as_deref(), ""))
            (field("Since", "since", filter.since.as_deref(), "2h, or a time in UTC"))
            (field("Until", "until", filter.until.as_deref(), ""))
            @if visitor.state.arguments == ArgumentPrinting::Full {
                (field("Text", "text", filter.text.as_deref(), "in arguments or error"))
            }
            (field("Workflow", "workflow", filter.workflow.as_deref(), "id of its first run"))
            label { "Order"
                select name="order" {
                    option value="" { "newest first" }
                    option value="oldest" selected[is_oldest_first] { "oldest first" }
                }
            }
            button.primary type="submit" { "Filter" }
        }
    }
}

fn field(label: &str, name: &str, value: Option<&str>, hint: &str) -> Markup {
    html! { label { (label) input name=(name) value=(value.unwrap_or_default()) placeholder=(hint); } }
}
