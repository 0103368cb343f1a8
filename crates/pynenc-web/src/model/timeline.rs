//! The timeline: the invocations with the times and the runners of their statuses.

use pynenc_core::InvocationId;
use pynenc_engine::Search;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::invocation::{Span, spans};
use super::invocations::InvocationsQuery;
use super::parse::cursor_text;
use crate::problem::Problem;
use crate::state::WebState;

/// The number of bars of a page, unless the request says another one.
const DEFAULT_LIMIT: usize = 500;
/// The maximum number of bars that a request may ask for.
const MAX_LIMIT: usize = 1000;

/// The invocations of a timeline.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TimelineQuery {
    /// Submitted at this time or later: milliseconds since 1970, RFC 3339 in UTC, or a duration before now such as `2h`.
    pub(crate) since: Option<String>,
    /// Submitted at this time or earlier.
    pub(crate) until: Option<String>,
    /// The name of the task, or the end of its name.
    pub(crate) task: Option<String>,
    /// The queue.
    pub(crate) queue: Option<String>,
    /// Statuses, separated by commas.
    pub(crate) status: Option<String>,
    /// `next` of the page before.
    pub(crate) cursor: Option<String>,
    /// The number of bars, from 1 to 1000; 500 by default.
    pub(crate) limit: Option<usize>,
}

/// A page of a timeline: the invocations that were submitted last, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Timeline {
    /// The present time of the server.
    pub(crate) now: u64,
    pub(crate) bars: Vec<Bar>,
    /// The cursor of the next page; missing on the last page.
    pub(crate) next: Option<String>,
}

/// An invocation in a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Bar {
    #[schema(value_type = String, format = Uuid)]
    pub(crate) id: InvocationId,
    pub(crate) task: String,
    pub(crate) queue: String,
    /// The statuses of the invocation, in order. A span with a runner is in the lane of that runner.
    pub(crate) spans: Vec<Span>,
}

/// Reads a page of a timeline.
pub(crate) async fn timeline(state: &WebState, query: &TimelineQuery) -> Result<Timeline, Problem> {
    let TimelineQuery { since, until, task, queue, status, cursor, limit } = query.clone();
    let filter = InvocationsQuery { status, task, queue, since, until, cursor, ..InvocationsQuery::default() };
    let (search, _) = filter.search(state)?;
    let limit = limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let found = state.app.search(&search, limit, Search::MAX_PAGES).await?;
    let ids: Vec<_> = found.items.iter().map(|item| item.id).collect();
    let mut bars = Vec::with_capacity(ids.len());
    for ids in ids.chunks(Search::PAGE_SIZE) {
        let inspections = state.app.parts().orchestrator.inspect(ids).await?;
        bars.extend(inspections.into_iter().flatten().map(|inspection| Bar {
            id: inspection.tracked.id,
            task: inspection.tracked.task.to_string(),
            queue: inspection.tracked.queue.to_string(),
            spans: spans(&inspection.history),
        }));
    }
    let now = state.app.parts().clock.now().as_millis();
    Ok(Timeline { now, bars, next: found.next.map(cursor_text) })
}
