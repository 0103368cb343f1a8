//! Tasks: the list, and one task with its options, statistics and a form to call it.

use axum::extract::{Form, Path};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::layout::Page;
use super::visitor::Visitor;
use super::widgets::{self, ChartBar};
use crate::actions::{self, NewCall};
use crate::model::{self, Task, TaskStatistics};
use crate::problem::Problem;
use crate::units::encoded;

/// Lists the tasks.
pub(super) async fn list(visitor: Visitor) -> Response {
    let tasks = model::tasks(&visitor.state).await;
    visitor.show(tasks.map(|tasks| Page::new("Tasks", "/tasks", list_content(&visitor, &tasks))))
}

fn list_content(visitor: &Visitor, tasks: &[Task]) -> Markup {
    let option = |task: &Task, name: &str| task.options.get(name).cloned().unwrap_or_default();
    html! {
        h1 { "Tasks" }
        @if tasks.is_empty() { p.empty { "This program has no tasks, and no runner is alive." } }
        @else {
            (widgets::table("Tasks", &["Task", "#Runners", "Queue", "#Retries", "Time limit", "Running limit"], &html! {
                @for task in tasks {
                    tr {
                        td { (widgets::task(visitor, &task.name)) }
                        td.number { (task.runners) }
                        td { (option(task, "queue")) }
                        td.number { (option(task, "max_retries")) }
                        td { (option(task, "timeout")) }
                        td {
                            @let by = option(task, "running_concurrency");
                            @if !by.is_empty() && by != "disabled" { (option(task, "running_limit")) " by " (by) }
                        }
                    }
                }
            }))
        }
    }
}

/// Shows a task.
pub(super) async fn page(visitor: Visitor, Path(name): Path<String>) -> Response {
    let page = async {
        let task = model::task(&visitor.state, &name).await?;
        let statistics = model::statistics(&visitor.state, &name).await?;
        Ok::<_, Problem>(Page::new(name.clone(), "/tasks", content(&visitor, &task, &statistics)))
    };
    visitor.show(page.await)
}

fn content(visitor: &Visitor, task: &Task, statistics: &TaskStatistics) -> Markup {
    html! {
        h1 { (task.name) }
        p {
            a href=(visitor.path(&format!("/invocations?task={}", encoded(&task.name)))) { "Its invocations" }
            " · " (task.runners) " runners know it"
        }
        (statistics_section(statistics))
        @if !task.options.is_empty() {
            section {
                h2 { "Options" }
                dl.pairs { @for (name, value) in &task.options { @if !value.is_empty() { dt { (name) } dd { (value) } } } }
            }
        }
        @if visitor.may_act() && task.parameters.is_some() { (call_form(visitor, task)) }
    }
}

fn statistics_section(it: &TaskStatistics) -> Markup {
    let shown = |millis: Option<u64>| millis.map_or_else(|| "–".to_owned(), widgets::duration);
    html! {
        section {
            h2 { "Last " (it.finished) " finished invocations" }
            @if it.finished == 0 { p.empty { "None has finished, or their retention is over." } }
            @else {
                ul.tiles {
                    li { strong { (it.failed) } " failed" }
                    li { strong { (it.retries) } " retries" }
                    li { strong { (shown(it.median_ms)) } " median run" }
                    li { strong { (shown(it.p95_ms)) } " run at 95 %" }
                    li { strong { (shown(it.wait_median_ms)) } " median wait" }
                    li { strong { (shown(it.wait_p95_ms)) } " wait at 95 %" }
                }
                (histogram(it))
                @if !it.errors.is_empty() {
                    h3 { "Errors" }
                    (widgets::table("Errors", &["Reason", "#Count"], &html! {
                        @for error in &it.errors { tr { td { (error.kind) } td.number { (error.count) } } }
                    }))
                }
            }
        }
    }
}

fn histogram(statistics: &TaskStatistics) -> Markup {
    let bar = |bucket: &model::Bucket| ChartBar {
        title: format!("below {}: {}", widgets::duration(bucket.below_ms), bucket.count),
        total: bucket.count,
        failed: 0,
    };
    let bars: Vec<_> = statistics.durations.iter().map(bar).collect();
    let (first, last) = (statistics.durations.first(), statistics.durations.last());
    html! {
        @if let (Some(first), Some(last)) = (first, last) {
            h3 { "Run times" }
            (widgets::chart("How many attempts took how long; the ranges double", &bars))
            p.axis { span { "below " (widgets::duration(first.below_ms)) } span { "below " (widgets::duration(last.below_ms)) } }
        }
    }
}

fn call_form(visitor: &Visitor, task: &Task) -> Markup {
    let names = task.parameters.iter().flatten().map(|name| (name.clone(), Value::Null));
    let example = serde_json::to_string_pretty(&Value::Object(names.collect())).unwrap_or_default();
    html! {
        section {
            h2 { "Call it" }
            form.stacked method="post" action={ (visitor.task_path(&task.name)) "/call" } {
                label { "Arguments, as JSON" textarea name="arguments" rows="5" spellcheck="false" { (example) } }
                label { "Delay" input name="delay" placeholder="such as 5m"; }
                button.primary type="submit" { "Submit" }
            }
        }
    }
}

/// The form of a call.
#[derive(Debug, Deserialize)]
pub(super) struct CallForm {
    arguments: String,
    #[serde(default)]
    delay: String,
}

/// Submits a call.
pub(super) async fn call(visitor: Visitor, Path(name): Path<String>, Form(form): Form<CallForm>) -> Response {
    let submit = async {
        let arguments: Map<String, Value> = serde_json::from_str(&form.arguments)
            .map_err(|error| Problem::invalid_request(format!("the arguments aren't a JSON object: {error}")))?;
        let delay = Some(form.delay.clone()).filter(|delay| !delay.trim().is_empty());
        actions::submit(&visitor.state, &visitor.user, NewCall::new(name, arguments, delay)).await
    };
    visitor.done(submit.await, |submission| format!("/invocations/{}?done=submitted", submission.id))
}
