//! Triggers: the list, and one trigger with its schedules and runs; pause, resume and fire.

use axum::extract::{Path, Query};
use axum::response::Response;
use maud::{Markup, html};

use super::invocation::Done;
use super::layout::Page;
use super::visitor::Visitor;
use super::widgets;
use crate::actions::{TriggerAction, act_on_trigger};
use crate::model::{self, Schedule, Slot, Trigger, TriggerRun};
use crate::problem::Problem;
use crate::units::encoded;

/// The number of runs that a page lists.
const MAX_RUNS: usize = 50;

/// Lists the triggers.
pub(super) async fn list(visitor: Visitor) -> Response {
    let triggers = model::triggers(&visitor.state).await;
    visitor.show(triggers.map(|triggers| Page::new("Triggers", "/triggers", list_content(&visitor, &triggers))))
}

fn list_content(visitor: &Visitor, triggers: &[Trigger]) -> Markup {
    html! {
        h1 { "Triggers" }
        @if triggers.is_empty() {
            p.empty { "No trigger is active. Start a worker of the program that defines them." }
        } @else {
            (widgets::table("Triggers", &["Trigger", "When", "Calls", "Next", "State"], &html! {
                @for trigger in triggers {
                    tr {
                        td { a href=(path(visitor, &trigger.id, "")) { (trigger.id) } }
                        td.text { (trigger.when) }
                        td { (widgets::task(visitor, &trigger.calls)) }
                        td { @if let Some(next) = next(&trigger.schedules) { (widgets::time(next.at)) } }
                        td { (state(trigger)) }
                    }
                }
            }))
        }
    }
}

fn path(visitor: &Visitor, id: &str, action: &str) -> String {
    visitor.path(&format!("/triggers/{}{action}", encoded(id)))
}

fn next(schedules: &[Schedule]) -> Option<&Slot> {
    schedules.iter().filter_map(|schedule| schedule.next.first()).min_by_key(|slot| slot.at)
}

fn state(trigger: &Trigger) -> Markup {
    html! {
        @if trigger.paused { span.status.paused { "paused" } } @else { span.status.success { "active" } }
        @if trigger.added { " added at run time" }
    }
}

/// Shows a trigger.
pub(super) async fn page(visitor: Visitor, Path(id): Path<String>, Query(done): Query<Done>) -> Response {
    let page = async {
        let trigger = model::trigger(&visitor.state, &id).await?;
        let runs = model::trigger_runs(&visitor.state, &id, MAX_RUNS).await?;
        Ok::<_, Problem>(Page::new(id.clone(), "/triggers", content(&visitor, &trigger, &runs, &done)))
    };
    visitor.show(page.await)
}

fn content(visitor: &Visitor, trigger: &Trigger, runs: &[TriggerRun], done: &Done) -> Markup {
    html! {
        @match done.name() {
            "pause" => p.notice.good role="status" { "The trigger is paused." },
            "resume" => p.notice.good role="status" { "The trigger is active again." },
            _ => {}
        }
        h1 { (trigger.id) " " (state(trigger)) }
        p { (trigger.when) ", calls " (widgets::task(visitor, &trigger.calls)) }
        @if visitor.may_act() {
            div.actions {
                @let other = if trigger.paused { ("/resume", "Resume") } else { ("/pause", "Pause") };
                form method="post" action=(path(visitor, &trigger.id, other.0)) { button type="submit" { (other.1) } }
                form method="post" action=(path(visitor, &trigger.id, "/fire")) { button.primary type="submit" { "Fire now" } }
            }
        }
        @for schedule in &trigger.schedules { (schedule_section(schedule)) }
        section {
            h2 { "Last runs" }
            @if runs.is_empty() { p.empty { "The trigger has no recorded run." } }
            @else { (runs_table(visitor, runs)) }
        }
        @if let Some(spec) = &trigger.spec {
            details { summary { "Definition" } pre tabindex="0" { (serde_json::to_string_pretty(spec).unwrap_or_default()) } }
        }
    }
}

fn schedule_section(schedule: &Schedule) -> Markup {
    html! {
        section {
            h2 { "Schedule " code { (schedule.cron) } }
            p { (schedule.words) ", in the time zone " (schedule.timezone) }
            @for warning in &schedule.warnings { p.notice.bad { (warning) } }
            (widgets::table("Next times", &["Next", "In the schedule's zone"], &html! {
                @for slot in &schedule.next { tr { td { (widgets::time(slot.at)) } td { (slot.local) } } }
            }))
        }
    }
}

fn runs_table(visitor: &Visitor, runs: &[TriggerRun]) -> Markup {
    widgets::table(
        "Last runs",
        &["At", "Cause", "Invocation", "Delivery"],
        &html! {
            @for run in runs {
                tr {
                    td { (widgets::time(run.at)) }
                    td.text { (run.cause) }
                    td { @if let Some(id) = run.invocation { (widgets::invocation(visitor, id)) } }
                    td.text { (run.delivery) @if let Some(problem) = &run.problem { ": " (problem) } }
                }
            }
        },
    )
}

/// Pauses a trigger.
pub(super) async fn pause(visitor: Visitor, Path(id): Path<String>) -> Response {
    act(&visitor, &id, TriggerAction::Pause, "pause").await
}

/// Resumes a trigger.
pub(super) async fn resume(visitor: Visitor, Path(id): Path<String>) -> Response {
    act(&visitor, &id, TriggerAction::Resume, "resume").await
}

/// Submits the call of a trigger, and goes to its invocation.
pub(super) async fn fire(visitor: Visitor, Path(id): Path<String>) -> Response {
    act(&visitor, &id, TriggerAction::Fire, "fire").await
}

async fn act(visitor: &Visitor, id: &str, action: TriggerAction, done: &str) -> Response {
    let acted = act_on_trigger(&visitor.state, &visitor.user, id, action).await;
    visitor.done(acted, |invocation| match invocation {
        Some(invocation) => format!("/invocations/{invocation}?done=submitted"),
        None => format!("/triggers/{}?done={done}", encoded(id)),
    })
}
