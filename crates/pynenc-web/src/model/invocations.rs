//! Lists of invocations.

use pynenc_core::orchestrator::{Find, Tracked};
use pynenc_core::record::InvocationRecord;
use pynenc_core::{InvocationId, RunnerId, Status};
use pynenc_engine::Search;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::parse::{cursor_text, parse_cursor, parse_id, parse_time};
use crate::problem::Problem;
use crate::state::WebState;

/// The number of rows of a page, unless the request says another one.
const DEFAULT_LIMIT: usize = 50;
/// The maximum number of rows that a request may ask for.
const MAX_LIMIT: usize = 500;

/// A filter of invocations. An invocation is listed if it matches every given filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct InvocationsQuery {
    /// Statuses, separated by commas.
    pub(crate) status: Option<String>,
    /// The name of the task, or the end of its name if this program has the task.
    pub(crate) task: Option<String>,
    /// The queue.
    pub(crate) queue: Option<String>,
    /// Submitted at this time or later: milliseconds since 1970, RFC 3339 in UTC, or a duration before now such as `2h`.
    pub(crate) since: Option<String>,
    /// Submitted at this time or earlier.
    pub(crate) until: Option<String>,
    /// With this text in an argument or in the last error, in upper or lower case. Refused while arguments are hidden.
    pub(crate) text: Option<String>,
    /// Part of the workflow that this invocation started.
    pub(crate) workflow: Option<String>,
    /// Owned by this runner.
    pub(crate) runner: Option<String>,
    /// `newest` (default) or `oldest`: which invocation comes first.
    pub(crate) order: Option<String>,
    /// `next` of the page before.
    pub(crate) cursor: Option<String>,
    /// The number of rows, from 1 to 500; 50 by default. With a filter by `queue`, `text` or `workflow`, a page may have
    /// more rows.
    pub(crate) limit: Option<usize>,
}

/// An invocation in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct InvocationRow {
    #[schema(value_type = String, format = Uuid)]
    pub(crate) id: InvocationId,
    /// The name of the task.
    pub(crate) task: String,
    pub(crate) queue: String,
    /// The priority in the queue, from 0 to 9; more if other invocations wait for this one.
    pub(crate) priority: u16,
    /// The status.
    #[schema(value_type = String, example = "running")]
    pub(crate) status: Status,
    /// Why the invocation entered the status.
    #[schema(example = "started")]
    pub(crate) reason: String,
    /// When the invocation entered the status.
    pub(crate) at: u64,
    /// The earliest time of the next claim.
    pub(crate) due: Option<u64>,
    /// The runner that owns the invocation.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub(crate) runner: Option<RunnerId>,
    /// The number of the attempt, from 1.
    pub(crate) attempt: u32,
    pub(crate) cancel_requested: bool,
    /// Grows with each change of the status.
    pub(crate) version: u64,
    /// When the client made the call, by the client's clock.
    pub(crate) created_at: Option<u64>,
    /// The arguments as text, as `web.arguments` says.
    pub(crate) arguments: Option<String>,
}

/// A page of invocations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct InvocationPage {
    pub(crate) items: Vec<InvocationRow>,
    /// The cursor of the next page; missing on the last page. A page with a next one may have few items, or none: a search
    /// examines a bounded number of invocations.
    pub(crate) next: Option<String>,
}

impl InvocationRow {
    pub(super) fn new(tracked: Tracked, record: Option<&InvocationRecord>, state: &WebState) -> Self {
        let Tracked { id, task, queue, priority, record: status, .. } = tracked;
        Self {
            id,
            task: task.to_string(),
            queue: queue.to_string(),
            priority: priority.level(),
            status: status.status,
            reason: status.reason.to_string(),
            at: status.at.as_millis(),
            due: status.due.map(pynenc_core::Timestamp::as_millis),
            runner: status.owner,
            attempt: status.retries + 1,
            cancel_requested: status.cancel_requested,
            version: status.version,
            created_at: record.map(|record| record.created_at.as_millis()),
            arguments: record.and_then(|record| state.argument_text(record)),
        }
    }
}

impl InvocationsQuery {
    /// The search, and the number of rows.
    pub(super) fn search(&self, state: &WebState) -> Result<(Search, usize), Problem> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if given(&self.text).is_some() && state.arguments != pynenc_core::config::ArgumentPrinting::Full {
            return Err(Problem::forbidden(
                "a search for a text would disclose arguments and errors, which aren't shown in full; \
                 see the setting `web.arguments`",
            ));
        }
        let task = given(&self.task).map(|name| match state.app.tasks().named(&name) {
            Ok(task) => task.id().clone(),
            Err(_) => name.as_str().into(),
        });
        let find = Find {
            statuses: self.statuses()?,
            task,
            owner: given(&self.runner).map(|runner| parse_runner(&runner)).transpose()?,
            since: parse_time("since", self.since.as_deref())?,
            until: parse_time("until", self.until.as_deref())?,
            newest_first: self.is_newest_first()?,
            after: given(&self.cursor).map(|cursor| parse_cursor(&cursor)).transpose()?,
            ..Find::default()
        };
        let search = Search {
            find,
            queue: given(&self.queue).map(|queue| queue.as_str().into()),
            text: given(&self.text),
            workflow: given(&self.workflow).map(|id| parse_id(&id)).transpose()?,
            ..Search::default()
        };
        Ok((search, self.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)))
    }

    fn statuses(&self) -> Result<Vec<Status>, Problem> {
        let texts = self.status.iter().flat_map(|statuses| statuses.split(',')).map(str::trim);
        let parse =
            |text: &str| text.parse().map_err(|error: pynenc_core::Error| Problem::invalid_request(error.to_string()));
        texts.filter(|text| !text.is_empty()).map(parse).collect()
    }

    fn is_newest_first(&self) -> Result<bool, Problem> {
        match self.order.as_deref() {
            None | Some("" | "newest") => Ok(true),
            Some("oldest") => Ok(false),
            Some(other) => Err(Problem::invalid_request(format!("`order` is `newest` or `oldest`, not `{other}`"))),
        }
    }
}

/// Reads a runner's id.
pub(super) fn parse_runner(text: &str) -> Result<RunnerId, Problem> {
    text.parse().map_err(|_| Problem::invalid_request(format!("`{text}` isn't the id of a runner")))
}

/// Reads a page of invocations.
pub(crate) async fn invocations(state: &WebState, query: &InvocationsQuery) -> Result<InvocationPage, Problem> {
    let (search, limit) = query.search(state)?;
    let found = state.app.search(&search, limit, Search::MAX_PAGES).await?;
    Ok(InvocationPage { items: rows(state, found.items).await?, next: found.next.map(cursor_text) })
}

/// Reads the calls of invocations, and makes a row of each.
pub(super) async fn rows(state: &WebState, items: Vec<Tracked>) -> Result<Vec<InvocationRow>, Problem> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<_> = items.iter().map(|item| item.id).collect();
    let records = state.app.parts().state.invocations(&ids).await?;
    let rows = items.into_iter().zip(records);
    Ok(rows.map(|(item, record)| InvocationRow::new(item, record.as_deref(), state)).collect())
}
