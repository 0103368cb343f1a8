//! Runners: the list, and one runner with the invocations that it owns.

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};

use super::layout::Page;
use super::visitor::Visitor;
use super::widgets;
use crate::model::{self, InvocationRow, Runner};
use crate::problem::Problem;

/// Lists the runners.
pub(super) async fn list(visitor: Visitor) -> Response {
    let runners = model::runners(&visitor.state).await;
    visitor.show(
        runners
            .map(|runners| Page::new("Runners", "/runners", list_content(&visitor, &runners)).live("/overview/stream")),
    )
}

fn list_content(visitor: &Visitor, runners: &[Runner]) -> Markup {
    html! {
        h1 { "Runners" }
        @if runners.is_empty() { p.empty { "No runner is alive. Start one with " code { "worker" } "." } }
        @else {
            (widgets::table("Runners", &["Runner", "State", "Where", "Last heartbeat", "#Owns", "#Slots", "Queues"], &html! {
                @for runner in runners {
                    tr {
                        td { (widgets::runner(visitor, runner.id)) }
                        td { (state(runner)) }
                        td.text { (runner.description) }
                        td { (widgets::time(runner.last_heartbeat)) }
                        td.number { (runner.owned) }
                        td.number { @if let Some(slots) = runner.slots { (slots) } }
                        td.text { (runner.queues.join(", ")) }
                    }
                }
            }))
        }
    }
}

fn state(runner: &Runner) -> Markup {
    let class = if runner.state == "alive" { "success" } else { "failed" };
    html! { span class={ "status " (class) } { (runner.state) } }
}

/// Shows a runner.
pub(super) async fn page(visitor: Visitor, Path(id): Path<String>) -> Response {
    let page = async {
        let parsed = id.parse().map_err(|_| Problem::invalid_request(format!("`{id}` isn't the id of a runner")))?;
        let (runner, owned) = model::runner(&visitor.state, parsed).await?;
        let page = Page::new(format!("Runner {id}"), "/runners", content(&visitor, &runner, &owned));
        Ok::<_, Problem>(page.live("/overview/stream"))
    };
    visitor.show(page.await)
}

fn content(visitor: &Visitor, runner: &Runner, owned: &[InvocationRow]) -> Markup {
    html! {
        h1 { "Runner " (state(runner)) }
        p.id { (runner.id) }
        dl.pairs {
            dt { "Where" } dd { (runner.description) }
            dt { "Last heartbeat" } dd { (widgets::time(runner.last_heartbeat)) }
            dt { "Lease" } dd { (widgets::duration(runner.lease_ms)) }
            @if let Some(slots) = runner.slots { dt { "Slots" } dd { (slots) } }
            dt { "Queues" } dd { (runner.queues.join(", ")) }
            dt { "Tasks" } dd.text { (runner.tasks.join(", ")) }
        }
        section {
            h2 { "Owns " (runner.owned) " invocations" }
            @if !owned.is_empty() { (widgets::invocations(visitor, "Invocations of the runner", owned)) }
        }
    }
}
