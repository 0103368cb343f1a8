//! The overview: alerts, numbers, activity and queues.

use axum::response::Response;
use maud::{Markup, html};

use super::layout::Page;
use super::visitor::Visitor;
use super::widgets::{self, ChartBar};
use crate::readings::{Activity, Alert, Overview, Queue};
use crate::units::encoded;

/// Shows the overview.
pub(super) async fn page(visitor: Visitor) -> Response {
    let overview = visitor.state.readings.overview(&visitor.state.app).await;
    let page =
        overview.map(|overview| Page::new("Overview", "/", content(&visitor, &overview)).live("/overview/stream"));
    visitor.show(page.map_err(Into::into))
}

fn content(visitor: &Visitor, overview: &Overview) -> Markup {
    html! {
        h1 { "Overview" }
        (alerts(visitor, &overview.alerts))
        (numbers(visitor, overview))
        (activity(&overview.activity))
        h2 { "Queues" }
        @if overview.queues.is_empty() {
            p.empty { "No invocation is waiting, and no runner is alive." }
        } @else {
            (queues(visitor, &overview.queues))
        }
    }
}

fn alerts(visitor: &Visitor, alerts: &[Alert]) -> Markup {
    html! {
        @if !alerts.is_empty() {
            ul.alerts aria-label="Alerts" {
                @for alert in alerts {
                    li.notice.bad { a href=(visitor.path(&alert.page)) { (alert.message) } }
                }
            }
        }
    }
}

fn numbers(visitor: &Visitor, overview: &Overview) -> Markup {
    html! {
        ul.tiles {
            li { a href=(visitor.path("/runners")) { strong { (overview.runners) } " runners, " (overview.slots) " slots" } }
            @for (status, count) in &overview.statuses {
                li {
                    a href=(visitor.path(&format!("/invocations?status={status}"))) {
                        strong { (count) } " " (widgets::status(*status))
                    }
                }
            }
        }
    }
}

fn activity(activity: &Activity) -> Markup {
    let (finished, failed) =
        activity.minutes.iter().fold((0, 0), |(finished, failed), it| (finished + it.finished, failed + it.failed));
    let count = activity.minutes.len();
    let bar = |(number, minute): (usize, &crate::readings::Minute)| ChartBar {
        title: format!("{} minutes ago: {} finished, {} failed", count - 1 - number, minute.finished, minute.failed),
        total: minute.finished,
        failed: minute.failed,
    };
    let bars: Vec<_> = activity.minutes.iter().enumerate().map(bar).collect();
    let highest = activity.minutes.iter().map(|minute| minute.finished).max().unwrap_or_default();
    let summary =
        format!("{finished} finished in the last hour, {failed} of them failed; at most {highest} in a minute");
    html! {
        section.activity {
            h2 { "Last hour" }
            (widgets::chart(&summary, &bars))
            p.axis { span { "1 h ago" } span { "now" } }
            p { (summary) "." @if let Some(since) = activity.since { " Counted since " (widgets::time(since)) "." } }
        }
    }
}

fn queues(visitor: &Visitor, queues: &[Queue]) -> Markup {
    let number = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let head = ["Queue", "#Waiting", "#Ready", "#Delayed", "#Blocked", "#Oldest ready", "#Runners"];
    widgets::table(
        "Queues",
        &head,
        &html! {
            @for queue in queues {
                tr {
                    td { a href=(visitor.path(&format!("/invocations?queue={}", encoded(&queue.name)))) { (queue.name) } }
                    td.number { (queue.waiting) }
                    td.number { (number(queue.ready)) }
                    td.number { (number(queue.delayed)) }
                    td.number { (number(queue.blocked)) }
                    td.number { @if let Some(age) = queue.oldest_ready_ms { (widgets::duration(age)) } @else { "?" } }
                    td.number { (queue.runners) }
                }
            }
        },
    )
}
