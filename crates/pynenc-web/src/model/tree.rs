//! The family tree of an invocation, with the critical path.

use std::collections::HashMap;

use futures_util::stream::{StreamExt, TryStreamExt, iter};
use pynenc_core::state_backend::Listing;
use pynenc_core::{InvocationId, Status};
use pynenc_engine::Error;
use serde::Serialize;
use utoipa::ToSchema;

use super::invocation::{Span, spans};
use crate::problem::Problem;
use crate::state::WebState;

/// The maximum number of invocations in a tree.
const MAX_NODES: usize = 1000;
/// The number of invocations whose children are read at once.
const READS: usize = 16;

/// An invocation with its descendants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Tree {
    /// The invocations, level by level; the first one is the root.
    pub(crate) nodes: Vec<TreeNode>,
    /// Whether there are more than 1,000 descendants, of which some are left out.
    pub(crate) is_partial: bool,
    /// The ancestor that no other invocation called.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) oldest_ancestor: InvocationId,
}

/// An invocation in a family tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct TreeNode {
    #[schema(value_type = String, format = Uuid)]
    pub(crate) id: InvocationId,
    /// The position of the caller in the list; missing for the root.
    pub(crate) parent: Option<usize>,
    pub(crate) task: String,
    /// The status; missing if the invocation was forgotten.
    #[schema(value_type = Option<String>)]
    pub(crate) status: Option<Status>,
    /// The statuses of the invocation, in order.
    pub(crate) spans: Vec<Span>,
    /// Whether the invocation is on the critical path: had it taken less time, the root would have finished earlier.
    pub(crate) is_critical: bool,
}

/// Reads the family tree below an invocation.
pub(crate) async fn tree(state: &WebState, id: InvocationId) -> Result<Tree, Problem> {
    let oldest_ancestor = oldest_ancestor(state, id).await?;
    let (mut nodes, mut is_partial) = (Vec::new(), false);
    let mut level = vec![(id, None)];
    while !level.is_empty() {
        let room = MAX_NODES.saturating_sub(nodes.len());
        is_partial |= level.len() > room;
        level.truncate(room);
        let first = nodes.len();
        nodes.extend(read_level(state, &level).await?);
        let (children, is_cut) = children(state, &level, first).await?;
        is_partial |= is_cut;
        level = children;
    }
    if nodes.first().is_none_or(|root| root.status.is_none()) {
        return Err(Error::InvocationNotFound(id).into());
    }
    mark_critical_path(&mut nodes);
    Ok(Tree { nodes, is_partial, oldest_ancestor })
}

async fn oldest_ancestor(state: &WebState, id: InvocationId) -> Result<InvocationId, Problem> {
    /// Calls nest less deep than this; it bounds the requests.
    const MAX_DEPTH: usize = 100;
    let mut oldest = id;
    for _ in 0..MAX_DEPTH {
        let record = state.app.parts().state.invocations(&[oldest]).await?.pop().flatten();
        match record.and_then(|record| record.parent) {
            Some(parent) => oldest = parent,
            None => break,
        }
    }
    Ok(oldest)
}

async fn read_level(state: &WebState, level: &[(InvocationId, Option<usize>)]) -> Result<Vec<TreeNode>, Problem> {
    let ids: Vec<_> = level.iter().map(|(id, _)| *id).collect();
    let records = state.app.parts().state.invocations(&ids).await?;
    let inspections = state.app.parts().orchestrator.inspect(&ids).await?;
    let nodes = level.iter().zip(records).zip(inspections).map(|(((id, parent), record), inspection)| TreeNode {
        id: *id,
        parent: *parent,
        task: record.map(|record| record.task.to_string()).unwrap_or_default(),
        status: inspection.as_ref().map(|inspection| inspection.tracked.record.status),
        spans: inspection.map(|inspection| spans(&inspection.history)).unwrap_or_default(),
        is_critical: false,
    });
    Ok(nodes.collect())
}

/// Lists the children of a level, each with the position of its caller; and whether some are left out. `first` is the
/// position of the first caller.
async fn children(
    state: &WebState,
    level: &[(InvocationId, Option<usize>)],
    first: usize,
) -> Result<(Vec<(InvocationId, Option<usize>)>, bool), Problem> {
    let callers: Vec<_> = level.iter().enumerate().map(|(offset, (id, _))| (first + offset, *id)).collect();
    let reads = callers.into_iter().map(|(position, id)| async move {
        let page = state.app.parts().state.list(&Listing::Children(id), None, MAX_NODES).await?;
        Ok::<_, Problem>((position, page))
    });
    let pages: Vec<_> = iter(reads).buffered(READS).try_collect().await?;
    let is_cut = pages.iter().any(|(_, page)| page.next.is_some());
    let below = pages.into_iter().flat_map(|(at, page)| page.items.into_iter().map(move |id| (id, Some(at))));
    Ok((below.collect(), is_cut))
}

/// Marks the critical path: from the end of the root backward in time, always the child that ended last.
fn mark_critical_path(nodes: &mut [TreeNode]) {
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    for (position, node) in nodes.iter().enumerate() {
        node.parent.into_iter().for_each(|parent| children.entry(parent).or_default().push(position));
    }
    let Some(root) = nodes.first_mut() else { return };
    root.is_critical = true;
    let mut open = vec![(0, root.end())];
    while let Some((position, until)) = open.pop() {
        let mut before = nodes[position].end().min(until);
        loop {
            // A marked child isn't taken again: one without a length ends when it begins.
            let ended_before = |child: &&usize| nodes[**child].end() <= before && !nodes[**child].is_critical;
            let last = children.get(&position).into_iter().flatten().filter(ended_before);
            let Some(child) = last.max_by_key(|child| nodes[**child].end()).copied() else { break };
            nodes[child].is_critical = true;
            open.push((child, before));
            before = nodes[child].begin();
        }
    }
}

impl TreeNode {
    fn begin(&self) -> u64 {
        self.spans.first().map_or(0, |span| span.from)
    }

    /// The time of its completion; the end of time for an invocation that hasn't finished.
    fn end(&self) -> u64 {
        let is_final = self.status.is_some_and(Status::is_final);
        self.spans.last().filter(|_| is_final).map_or(u64::MAX, |span| span.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(parent: Option<usize>, begin: u64, end: Option<u64>) -> TreeNode {
        let span = |status, from, to| Span { status, from, to, runner: None };
        let spans = match end {
            Some(end) => vec![span(Status::Running, begin, Some(end)), span(Status::Success, end, None)],
            None => vec![span(Status::Running, begin, None)],
        };
        let status = Some(if end.is_some() { Status::Success } else { Status::Running });
        TreeNode { id: InvocationId::new(), parent, task: String::new(), status, spans, is_critical: false }
    }

    fn critical(mut nodes: Vec<TreeNode>) -> Vec<usize> {
        mark_critical_path(&mut nodes);
        nodes.iter().enumerate().filter(|(_, node)| node.is_critical).map(|(position, _)| position).collect()
    }

    #[test]
    fn the_critical_path_follows_the_children_that_ended_last() {
        let root = || node(None, 0, Some(100));
        let parallel = vec![root(), node(Some(0), 10, Some(50)), node(Some(0), 10, Some(90))];
        assert_eq!(critical(parallel), [0, 2]);
        let sequential =
            vec![root(), node(Some(0), 10, Some(50)), node(Some(0), 50, Some(90)), node(Some(0), 20, Some(60))];
        assert_eq!(critical(sequential), [0, 1, 2], "the third child ran beside the others");
        let nested =
            vec![root(), node(Some(0), 10, Some(90)), node(Some(1), 20, Some(80)), node(Some(1), 20, Some(30))];
        assert_eq!(critical(nested), [0, 1, 2]);
        let instant = vec![root(), node(Some(0), 90, Some(90)), node(Some(0), 90, Some(90))];
        assert_eq!(critical(instant), [0, 1, 2], "children without a length");
        let running = vec![node(None, 0, None), node(Some(0), 10, Some(50)), node(Some(0), 60, None)];
        assert_eq!(critical(running), [0, 1, 2]);
    }
}
