//! Searches of invocations by what the store can't filter: arguments, errors, times of activity, queue and workflow.

use pynenc_core::orchestrator::{Find, HistoryEntry, Tracked};
use pynenc_core::page::{Cursor, Page};
use pynenc_core::record::InvocationRecord;
use pynenc_core::{InvocationId, QueueName, Timestamp};
use serde_json::{Map, Value};

use crate::engine::Engine;
use crate::error::Result;

/// A search for invocations. An invocation is found if it matches every filter. An unset filter matches all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Search {
    /// The filters that the store applies, with the order and the position. Its `limit` is the size of a page of the store.
    pub find: Find,
    /// In this queue.
    pub queue: Option<QueueName>,
    /// With all these arguments: a name, and a value as JSON or as plain text.
    pub arguments: Vec<(String, String)>,
    /// With a history entry at this time or later.
    pub active_since: Option<Timestamp>,
    /// With a history entry at this time or earlier.
    pub active_until: Option<Timestamp>,
    /// With a last error that contains this text, in upper or lower case.
    pub error: Option<String>,
    /// With this text in an argument or in the last error, in upper or lower case.
    pub text: Option<String>,
    /// Taking part in the workflow that this invocation started.
    pub workflow: Option<InvocationId>,
}

/// The invocations that a search has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The invocations, in the order of the listing.
    pub items: Vec<Tracked>,
    /// Where the search continues; `None` if it has seen every invocation.
    pub next: Option<Cursor>,
}

impl Search {
    /// The maximum number of invocations of a page that are read at once.
    pub const PAGE_SIZE: usize = 500;
    /// The number of pages after which a search for people stops, and reports where it can continue.
    pub const MAX_PAGES: usize = 40;

    /// Whether records have to be read for the search.
    fn needs_records(&self) -> bool {
        !self.arguments.is_empty() || self.text.is_some() || self.workflow.is_some()
    }

    /// Whether histories have to be read for the search.
    fn needs_histories(&self) -> bool {
        let Self { active_since, active_until, error, text, .. } = self;
        active_since.is_some() || active_until.is_some() || error.is_some() || text.is_some()
    }

    /// Whether the store applies every filter.
    fn is_in_store(&self) -> bool {
        self.queue.is_none() && !self.needs_records() && !self.needs_histories()
    }
}

impl Engine {
    /// Searches until at least `limit` invocations are found, `max_pages` pages of the store are read, or no invocation is
    /// left. The reply may have more than `limit` invocations: all that match of the last page, so that the search can
    /// continue behind that page.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](crate::Error::Unavailable), or another error of a store. An invocation whose arguments can't
    /// be read matches no filter of arguments.
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    pub async fn search(&self, search: &Search, limit: usize, max_pages: usize) -> Result<Found> {
        let mut find = search.find.clone();
        // If the store can't apply every filter, most of a page may not match, so that full pages save round trips.
        find.limit = if search.is_in_store() { limit.min(Search::PAGE_SIZE) } else { Search::PAGE_SIZE };
        let mut found = Found { items: Vec::new(), next: find.after };
        for _ in 0..max_pages {
            let Page { items, next } = self.parts().orchestrator.find(&find).await?;
            found.items.extend(self.matching(items, search).await?);
            (found.next, find.after) = (next, next);
            if next.is_none() || found.items.len() >= limit {
                break;
            }
        }
        Ok(found)
    }

    /// Keeps the items of a page that match the filters that the store can't apply.
    async fn matching(&self, mut page: Vec<Tracked>, search: &Search) -> Result<Vec<Tracked>> {
        page.retain(|item| search.queue.as_ref().is_none_or(|queue| *queue == item.queue));
        let mut found_in_arguments = vec![false; page.len()];
        if search.needs_records() && !page.is_empty() {
            let ids: Vec<_> = page.iter().map(|item| item.id).collect();
            let records = self.parts().state.invocations(&ids).await?;
            let mut kept = Vec::with_capacity(page.len());
            found_in_arguments.clear();
            for (item, record) in page.into_iter().zip(records) {
                let Some(record) = record else { continue };
                // Arguments that can't be decoded match nothing.
                let arguments = self.json_arguments(&record).await.unwrap_or_default();
                if matches_record(&record, &arguments, search) {
                    found_in_arguments.push(search.text.as_ref().is_some_and(|text| has_text(&arguments, text)));
                    kept.push(item);
                }
            }
            page = kept;
        }
        if search.needs_histories() && !page.is_empty() {
            let ids: Vec<_> = page.iter().map(|item| item.id).collect();
            let inspections = self.parts().orchestrator.inspect(&ids).await?;
            let mut reads = inspections.into_iter().zip(found_in_arguments);
            // An invocation that was deleted in the meantime has no inspection, and matches no filter.
            page.retain(|_| {
                let Some((Some(inspection), has_text)) = reads.next() else { return false };
                matches_history(&inspection.history, has_text, search)
            });
        }
        Ok(page)
    }
}

fn matches_record(record: &InvocationRecord, arguments: &Map<String, Value>, search: &Search) -> bool {
    let takes_part = |id| record.id == id || record.workflow.is_some_and(|workflow| workflow.id == id);
    search.workflow.is_none_or(takes_part)
        && search.arguments.iter().all(|(name, text)| matches_argument(arguments.get(name), text))
}

/// Whether an argument equals a text, read as JSON or as a plain string.
fn matches_argument(argument: Option<&Value>, text: &str) -> bool {
    let is_same_string = argument.and_then(Value::as_str) == Some(text);
    let is_same_json = |argument: &Value| serde_json::from_str::<Value>(text).is_ok_and(|value| value == *argument);
    is_same_string || argument.is_some_and(is_same_json)
}

/// Whether an argument contains a text. The text of a string is compared without the escapes of JSON.
fn has_text(arguments: &Map<String, Value>, text: &str) -> bool {
    arguments.values().any(|value| match value {
        Value::String(value) => contains(value, text),
        other => contains(&other.to_string(), text),
    })
}

fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

/// Whether the last error contains the search's text, and an entry is in the search's time range.
fn matches_history(history: &[HistoryEntry], is_in_arguments: bool, search: &Search) -> bool {
    let last_error = history.iter().rev().find_map(|entry| entry.detail.as_deref());
    let error_has = |text: &String| last_error.is_some_and(|error| contains(error, text));
    let is_in_range = |entry: &HistoryEntry| {
        search.active_since.is_none_or(|since| entry.at >= since)
            && search.active_until.is_none_or(|until| entry.at <= until)
    };
    search.error.as_ref().is_none_or(error_has)
        && search.text.as_ref().is_none_or(|text| is_in_arguments || error_has(text))
        && history.iter().any(is_in_range)
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
