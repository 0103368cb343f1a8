//! The timeline: what ran where and when. A script draws it; without scripts there is a table.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use maud::{Markup, html};

use super::layout::Page;
use super::visitor::Visitor;
use super::widgets;
use crate::model::{Bar, Timeline, TimelineQuery, timeline};
use crate::problem::Problem;

/// The number of invocations in the table.
const LISTED: usize = 100;

/// Shows the timeline.
pub(super) async fn page(visitor: Visitor, query: Result<Query<TimelineQuery>, QueryRejection>) -> Response {
    let page = async {
        let Query(query) = query?;
        let first = TimelineQuery { limit: Some(LISTED), ..query.clone() };
        let timeline = timeline(&visitor.state, &first).await?;
        let content = content(&visitor, &query, &timeline);
        Ok::<_, Problem>(Page::new("Timeline", "/timeline", content).script("timeline.mjs"))
    };
    visitor.show(page.await)
}

fn content(visitor: &Visitor, query: &TimelineQuery, timeline: &Timeline) -> Markup {
    let given = |text: &Option<String>| text.clone().unwrap_or_default();
    let fields = [
        ("Task", "task", given(&query.task), "name or its end"),
        ("Queue", "queue", given(&query.queue), ""),
        ("Status", "status", given(&query.status), "such as failed"),
        ("Submitted since", "since", given(&query.since), "10m, or a time in UTC"),
        ("Until", "until", given(&query.until), ""),
    ];
    let pairs: Vec<_> = fields.iter().map(|(_, name, value, _)| (*name, &**value)).collect();
    html! {
        h1 { "Timeline" }
        form.filter method="get" action=(visitor.path("/timeline")) {
            @for (label, name, value, hint) in &fields {
                label { (label) input name=(name) value=(value) placeholder=(hint); }
            }
            button.primary type="submit" { "Show" }
        }
        div #timeline hidden data-query=(widgets::query(&pairs)) {
            div.actions {
                button type="button" data-do="in" { "Zoom in" }
                button type="button" data-do="out" { "Zoom out" }
                button type="button" data-do="fit" { "Show all" }
                label { input type="checkbox" data-do="follow" checked[query.until.is_none()]; "Follow" }
                output aria-live="polite" {}
            }
            canvas tabindex="0" role="img"
                aria-label="Timeline: a lane for each runner, and one for waiting. The table below lists the same invocations." {}
            div.tooltip hidden {}
            p.legend {
                @for name in ["pending", "running", "paused", "registered", "scheduled", "retry", "concurrency_controlled"] {
                    span { span class={ "swatch " (name) } {} " " (name) }
                }
            }
        }
        details open[timeline.bars.is_empty()] {
            summary { "The last " (timeline.bars.len()) " invocations as a table" }
            (table(visitor, &timeline.bars))
        }
    }
}

fn table(visitor: &Visitor, bars: &[Bar]) -> Markup {
    html! {
        @if bars.is_empty() { p.empty { "No invocation matches." } }
        @else {
            (widgets::table("The last invocations", &["Id", "Task", "Submitted", "What it did"], &html! {
                @for bar in bars {
                    tr {
                        td { (widgets::invocation(visitor, bar.id)) }
                        td { (widgets::task(visitor, &bar.task)) }
                        td { @if let Some(first) = bar.spans.first() { (widgets::time(first.from)) } }
                        td {
                            @for span in &bar.spans {
                                (widgets::status(span.status)) " "
                                @if let Some(to) = span.to { (widgets::duration(to.saturating_sub(span.from))) " " }
                            }
                        }
                    }
                }
            }))
        }
    }
}
