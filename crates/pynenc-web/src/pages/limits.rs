//! Concurrency limits and deadlocks.

use axum::response::Response;
use maud::{Markup, html};

use super::layout::Page;
use super::visitor::Visitor;
use super::widgets;
use crate::model::{self, Limit, Limits};

/// Shows the limits that block invocations, and the last deadlocks.
pub(super) async fn page(visitor: Visitor) -> Response {
    let limits = model::limits(&visitor.state).await;
    visitor
        .show(limits.map(|limits| Page::new("Limits", "/limits", content(&visitor, &limits)).live("/overview/stream")))
}

fn content(visitor: &Visitor, limits: &Limits) -> Markup {
    html! {
        h1 { "Limits" }
        h2 { "Concurrency keys without a free slot" }
        @if limits.keys.is_empty() { p.empty { "No invocation is blocked." } }
        @else {
            (keys(visitor, &limits.keys))
            @if limits.is_partial { p { "More invocations are blocked; the first 500 were examined." } }
        }
        h2 { "Last deadlocks" }
        @if limits.deadlocks.is_empty() { p.empty { "None of the last failed invocations was in a deadlock." } }
        @else { (widgets::invocations(visitor, "Last deadlocks", &limits.deadlocks)) }
    }
}

fn keys(visitor: &Visitor, limits: &[Limit]) -> Markup {
    widgets::table(
        "Concurrency keys",
        &["Task", "Key", "#Slots", "Held by", "#Blocked", "Next", "Since"],
        &html! {
            @for limit in limits {
                tr {
                    td { (widgets::task(visitor, &limit.task)) }
                    td { code title=(limit.key) { (limit.key.get(..8).unwrap_or_default()) } }
                    td.number { (limit.slots) }
                    td { @for holder in &limit.holders { (widgets::invocation(visitor, *holder)) " " } }
                    td.number { (limit.blocked) }
                    td { (widgets::invocation(visitor, limit.next)) }
                    td { (widgets::time(limit.since)) }
                }
            }
        },
    )
}
