//! The family tree of an invocation as a waterfall, with the critical path.

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};
use pynenc_core::{Status, Timestamp};

use super::layout::Page;
use super::visitor::Visitor;
use super::widgets;
use crate::model::{Span, Tree, TreeNode, parse_id, tree};
use crate::problem::Problem;

/// The greatest depth that has an indentation of its own.
const MAX_DEPTH: usize = 12;
/// The width of a bar's picture.
const WIDTH: f64 = 1000.0;

/// Shows the family tree below an invocation.
pub(super) async fn page(visitor: Visitor, Path(id): Path<String>) -> Response {
    let page = async {
        let tree = tree(&visitor.state, parse_id(&id)?).await?;
        let now = visitor.state.app.parts().clock.now();
        Ok::<_, Problem>(Page::new(format!("Family tree of {id}"), "/invocations", content(&visitor, &tree, now)))
    };
    visitor.show(page.await)
}

/// The shown time, from the first submit to the last completion.
struct Axis {
    begin: u64,
    length: f64,
}

impl Axis {
    fn of(tree: &Tree, now: Timestamp) -> Self {
        let spans = || tree.nodes.iter().flat_map(|node| &node.spans);
        let begin = spans().map(|span| span.from).min().unwrap_or_default();
        let is_running = tree.nodes.iter().any(|node| node.status.is_some_and(|status| !status.is_final()));
        let last = spans().map(|span| span.to.unwrap_or(span.from)).max().unwrap_or_default();
        let end = if is_running { last.max(now.as_millis()) } else { last };
        Self { begin, length: end.saturating_sub(begin).max(1) as f64 }
    }

    fn x(&self, at: u64) -> f64 {
        (at.saturating_sub(self.begin) as f64 / self.length * WIDTH).min(WIDTH)
    }
}

fn content(visitor: &Visitor, tree: &Tree, now: Timestamp) -> Markup {
    let (axis, depths) = (Axis::of(tree, now), depths(&tree.nodes));
    let root = &tree.nodes[0];
    html! {
        h1 { "Family tree" }
        p {
            "Below " (widgets::invocation(visitor, root.id)) ", " (widgets::duration(axis.length as u64)) " in all. "
            @if tree.oldest_ancestor != root.id {
                a href=(visitor.path(&format!("/invocations/{}/tree", tree.oldest_ancestor))) { "Show the whole family" } "."
            }
        }
        p { span.critical aria-hidden="true" { "◆" } " marks the critical path: these invocations determine when the first one finishes." }
        @if tree.is_partial { p.notice.bad { "There are more than 1,000 descendants; some are left out." } }
        (widgets::table("Family tree", &["Task", "Invocation", "Status", "#Took", "Time"], &html! {
            @for position in in_order(&tree.nodes) {
                @let node = &tree.nodes[position];
                (row(visitor, node, depths[position], &axis))
            }
        }))
    }
}

fn row(visitor: &Visitor, node: &TreeNode, depth: usize, axis: &Axis) -> Markup {
    let took = node.spans.first().zip(node.spans.last()).map(|(first, last)| last.from.saturating_sub(first.from));
    html! {
        tr.critical[node.is_critical] {
            td class={ "depth-" (depth.min(MAX_DEPTH)) } {
                @if node.is_critical { span.critical title="on the critical path" { "◆ " } }
                (node.task)
            }
            td { (widgets::invocation(visitor, node.id)) }
            td { @match node.status { Some(status) => (widgets::status(status)), None => "forgotten" } }
            td.number { @if let Some(took) = took.filter(|_| node.status.is_some_and(Status::is_final)) { (widgets::duration(took)) } }
            td.waterfall { (bar(&node.spans, axis)) }
        }
    }
}

fn bar(spans: &[Span], axis: &Axis) -> Markup {
    html! {
        svg viewBox={ "0 0 " (WIDTH) " 14" } preserveAspectRatio="none" aria-hidden="true" {
            @for span in spans.iter().filter(|span| !span.status.is_final()) {
                @let from = axis.x(span.from);
                @let to = span.to.map_or(WIDTH, |to| axis.x(to));
                rect class={ "bar " (span.status) } x=(format!("{from:.1}")) y="1" height="12" width=(format!("{:.1}", (to - from).max(1.0))) {
                    title { (span.status) @if let Some(to) = span.to { " " (widgets::duration(to.saturating_sub(span.from))) } }
                }
            }
        }
    }
}

/// The depth of each node. A caller is in front of the calls that it made.
fn depths(nodes: &[TreeNode]) -> Vec<usize> {
    let mut depths: Vec<usize> = Vec::with_capacity(nodes.len());
    for node in nodes {
        depths.push(node.parent.map_or(0, |parent| depths[parent] + 1));
    }
    depths
}

/// The positions of the nodes in the order of a tree: each node is followed by its descendants.
fn in_order(nodes: &[TreeNode]) -> Vec<usize> {
    let mut children = vec![Vec::new(); nodes.len()];
    for (position, node) in nodes.iter().enumerate() {
        if let Some(parent) = node.parent {
            children[parent].push(position);
        }
    }
    let (mut order, mut open) = (Vec::with_capacity(nodes.len()), vec![0]);
    while let Some(position) = open.pop() {
        order.push(position);
        open.extend(children[position].iter().rev());
    }
    order
}
