//! Small parts of pages: times, durations, statuses, links, charts.

use maud::{Markup, html};
use pynenc_core::{InvocationId, Status, Timestamp};

use super::visitor::Visitor;
use crate::model::InvocationRow;
use crate::units::encoded;

/// A time. The script shows it in the viewer's zone, with UTC on hover.
pub(super) fn time(millis: u64) -> Markup {
    let utc = Timestamp::from_millis(millis).to_string();
    html! { time datetime=(utc) title=(utc) { (utc) } }
}

/// A status with its color.
pub(super) fn status(status: Status) -> Markup {
    html! { span class={ "status " (status) } { (status) } }
}

/// The link to an invocation, with the last digits of its id: the first ones are nearly the same for invocations of one time.
pub(super) fn invocation(visitor: &Visitor, id: InvocationId) -> Markup {
    let full = id.to_string();
    let (_, short) = full.split_at(full.len() - 12);
    html! { a.id href=(visitor.invocation_path(id)) title=(full) { (short) } }
}

/// The link to a task.
pub(super) fn task(visitor: &Visitor, name: &str) -> Markup {
    html! { a href=(visitor.task_path(name)) { (name) } }
}

/// The link to a runner.
pub(super) fn runner(visitor: &Visitor, id: pynenc_core::RunnerId) -> Markup {
    let full = id.to_string();
    let (_, short) = full.split_at(full.len() - 12);
    html! { a.id href=(visitor.path(&format!("/runners/{full}"))) title=(full) { (short) } }
}

/// A duration with the precision that people need: `250 ms`, `1.5 s`, `1 m 30 s`, `2 h 5 m`.
pub(super) fn duration(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis} ms"),
        1..10 => format!("{:.1} s", millis as f64 / 1000.0),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} m {} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {} m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// A table that scrolls inside its own container, with a name for screen readers. A title that begins with `#` is above
/// numbers.
pub(super) fn table(name: &str, head: &[&str], rows: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(name) {
            table {
                thead { tr { @for title in head {
                    @let numbers = title.strip_prefix('#');
                    th.number[numbers.is_some()] scope="col" { (numbers.unwrap_or(title)) }
                } } }
                tbody { (rows) }
            }
        }
    }
}

/// A table of invocations.
pub(super) fn invocations(visitor: &Visitor, name: &str, rows: &[InvocationRow]) -> Markup {
    let shows_arguments = rows.iter().any(|row| row.arguments.is_some());
    let mut head = vec!["Id", "Task", "Status", "Since", "Queue", "#Attempt"];
    head.extend(shows_arguments.then_some("Arguments"));
    table(
        name,
        &head,
        &html! {
            @for row in rows {
                tr data-id=(row.id) {
                    td { (invocation(visitor, row.id)) }
                    td { (task(visitor, &row.task)) }
                    td { (status(row.status)) }
                    td { (time(row.at)) }
                    td { (row.queue) }
                    td.number { (row.attempt) }
                    @if shows_arguments { td.text { (row.arguments.as_deref().unwrap_or_default()) } }
                }
            }
        },
    )
}

/// A bar of a chart.
pub(super) struct ChartBar {
    /// The meaning of the bar, with its numbers.
    pub(super) title: String,
    /// The height of the whole bar, and of its lower part that failed.
    pub(super) total: u64,
    pub(super) failed: u64,
}

/// A chart of bars from left to right. `label` describes it for those who don't see it.
pub(super) fn chart(label: &str, bars: &[ChartBar]) -> Markup {
    const WIDTH: f64 = 600.0;
    const HEIGHT: f64 = 90.0;
    let step = WIDTH / bars.len().max(1) as f64;
    let highest = bars.iter().map(|bar| bar.total).max().unwrap_or_default().max(1);
    let scaled = |count: u64| count as f64 / highest as f64 * HEIGHT;
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(label) {
            @for (number, bar) in bars.iter().enumerate() {
                g {
                    title { (bar.title) }
                    // The invisible one makes the whole column react to the pointer.
                    rect.hover x=(step * number as f64) y="0" width=(step) height=(HEIGHT) {}
                    (part("total", step, number, HEIGHT - scaled(bar.total), scaled(bar.total - bar.failed.min(bar.total))))
                    (part("failed", step, number, HEIGHT - scaled(bar.failed), scaled(bar.failed)))
                }
            }
        }
    }
}

fn part(class: &str, step: f64, number: usize, y: f64, height: f64) -> Markup {
    let number = number as f64;
    html! {
        @if height > 0.0 {
            rect class=(class) x=(format!("{:.2}", step * (number + 0.1))) y=(format!("{y:.2}"))
                width=(format!("{:.2}", step * 0.8)) height=(format!("{height:.2}")) {}
        }
    }
}

/// A query with its values encoded, without the empty ones.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<_> = pairs.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_the_given_values_encoded() {
        assert_eq!(query(&[("task", "a::b"), ("queue", ""), ("text", "x&y=z")]), "?task=a%3A%3Ab&text=x%26y%3Dz");
        assert_eq!(query(&[("task", "")]), "");
    }

    #[test]
    fn a_bar_has_its_failed_part_at_the_bottom() {
        let bars =
            [ChartBar { title: "1".into(), total: 4, failed: 1 }, ChartBar { title: "2".into(), total: 0, failed: 0 }];
        let svg = chart("c", &bars).into_string();
        assert!(svg.contains(r#"class="total" x="30.00" y="0.00" width="240.00" height="67.50""#), "{svg}");
        assert!(svg.contains(r#"class="failed" x="30.00" y="67.50" width="240.00" height="22.50""#), "{svg}");
        assert_eq!(svg.matches("<rect").count(), 4, "an empty bar has only its invisible part");
    }

    #[test]
    fn durations_are_rounded() {
        for (millis, text) in
            [(0, "0 ms"), (999, "999 ms"), (1500, "1.5 s"), (61_000, "1 m 1 s"), (90_000_000, "1 d 1 h")]
        {
            assert_eq!(duration(millis), text);
        }
    }
}
