//! Finds the invocations that match the filter options of a command, page by page.

use pynenc_core::orchestrator::{Find, HistoryEntry, Tracked};
use pynenc_core::page::{Cursor, Page};
use pynenc_core::{InvocationId, TaskId};
use pynenc_engine::{Engine, Result};
use serde_json::Value;

use crate::arguments::Filter;

/// The maximum number of invocations that are read or changed at once.
pub(crate) const PAGE_SIZE: usize = 500;
/// The maximum number of pages that are read for a listing, and to complete a partial id.
pub(crate) const MAX_PAGES: usize = 40;

/// The invocations that a search has found.
pub(crate) struct Found {
    pub(crate) items: Vec<Tracked>,
    /// Where to continue, if the search stopped at its maximum number of pages.
    pub(crate) stopped_at: Option<Cursor>,
}

/// The id of a task from its name, or from the end of its name if this program has the task.
pub(crate) fn task_id(app: &Engine, name: &str) -> TaskId {
    app.tasks().named(name).map_or_else(|_| TaskId::from(name), |task| task.id().clone())
}

/// The part of a filter that the store can apply, as its query.
pub(crate) fn query(app: &Engine, filter: &Filter, limit: usize) -> Find {
    let task = filter.task.as_ref().map(|name| task_id(app, name));
    Find { statuses: filter.status.clone(), task, since: filter.since, until: filter.until, limit, ..Find::default() }
}

/// Returns up to `max_items` invocations that match the query and the filter, out of up to `max_pages` pages.
pub(crate) async fn search(
    app: &Engine,
    mut query: Find,
    filter: &Filter,
    max_items: usize,
    max_pages: usize,
) -> Result<Found> {
    let mut items = Vec::new();
    for _ in 0..max_pages {
        let page = next_page(app, &mut query).await?;
        items.extend(matching(app, page, filter).await?);
        if query.after.is_none() || items.len() >= max_items {
            items.truncate(max_items);
            return Ok(Found { items, stopped_at: None });
        }
    }
    Ok(Found { items, stopped_at: query.after })
}

/// Reads a page and moves the query behind that page.
pub(crate) async fn next_page(app: &Engine, query: &mut Find) -> Result<Vec<Tracked>> {
    let Page { items, next } = app.parts().orchestrator.find(query).await?;
    query.after = next;
    Ok(items)
}

/// Keeps the items of a page that match the part of a filter that the store can't apply.
async fn matching(app: &Engine, mut page: Vec<Tracked>, filter: &Filter) -> Result<Vec<Tracked>> {
    if !filter.arg.is_empty() && !page.is_empty() {
        let ids: Vec<_> = page.iter().map(|item| item.id).collect();
        let mut matches = match_arguments(app, &ids, filter).await?.into_iter();
        page.retain(|_| matches.next().unwrap_or(false));
    }
    if filter.needs_histories() {
        let ids: Vec<_> = page.iter().map(|item| item.id).collect();
        let mut inspections = app.parts().orchestrator.inspect(&ids).await?.into_iter();
        // An invocation that was deleted in the meantime has no inspection, and matches no filter.
        page.retain(|_| inspections.next().flatten().is_some_and(|it| matches_history(&it.history, filter)));
    }
    Ok(page)
}

/// Whether each of these invocations has the arguments of a filter.
async fn match_arguments(app: &Engine, ids: &[InvocationId], filter: &Filter) -> Result<Vec<bool>> {
    let records = app.parts().state.invocations(ids).await?;
    let mut matches = Vec::with_capacity(ids.len());
    for record in records {
        // Arguments that can't be decoded match nothing.
        let arguments = match &record {
            Some(record) => app.json_arguments(record).await.unwrap_or_default(),
            None => serde_json::Map::new(),
        };
        matches.push(filter.arg.iter().all(|(name, text)| matches_argument(arguments.get(name), text)));
    }
    Ok(matches)
}

/// Whether the last error contains the filter's text, and an entry is in the filter's time range.
fn matches_history(history: &[HistoryEntry], filter: &Filter) -> bool {
    let has_error = filter.error.as_ref().is_none_or(|text| {
        let last = history.iter().rev().find_map(|entry| entry.detail.as_deref());
        last.is_some_and(|detail| detail.to_lowercase().contains(&text.to_lowercase()))
    });
    let is_in_range = |entry: &HistoryEntry| {
        filter.active_since.is_none_or(|since| entry.at >= since)
            && filter.active_until.is_none_or(|until| entry.at <= until)
    };
    has_error && history.iter().any(is_in_range)
}

/// Whether an argument equals the text of `--arg`, read as JSON or as a plain string.
fn matches_argument(argument: Option<&Value>, text: &str) -> bool {
    let is_same_string = argument.and_then(Value::as_str) == Some(text);
    let is_same_json = |argument: &Value| serde_json::from_str::<Value>(text).is_ok_and(|value| value == *argument);
    is_same_string || argument.is_some_and(is_same_json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_compared_as_json_or_as_text() {
        let argument = |text: &str| serde_json::from_str::<Value>(text).ok();
        for (argument, text, expected) in [
            (argument("7"), "7", true),
            (argument("7"), "\"7\"", false),
            (argument("\"7\""), "7", true),
            (argument("\"Ann\""), "Ann", true),
            (argument("[1, 2]"), "[1,2]", true),
            (argument("null"), "null", true),
            (None, "null", false),
        ] {
            assert_eq!(matches_argument(argument.as_ref(), text), expected, "{argument:?} {text}");
        }
    }
}
