//! Many invocations: those that a filter finds, page by page.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use pynenc_core::orchestrator::{Cursor, Find, HistoryEntry, Page, Tracked};
use pynenc_core::{InvocationId, Status, TaskId, Timestamp};
use pynenc_engine::{Engine, Error, Result};
use serde_json::Value;

use crate::arguments::{Filter, IdText};

/// At most so many are read, and changed, at once.
pub(crate) const PAGE: usize = 500;
/// At most so many pages are looked at for a listing, and for an id of which a part is named.
pub(crate) const PAGES: usize = 40;
/// The histories of so many are read at once.
const READS: usize = 32;
/// By how much the clock by which an id was made may differ from the store's.
const SKEW: Duration = Duration::from_secs(600);
/// With fewer digits, the beginning of an id says too little of its time.
const DIGITS_WITH_TIME: usize = 8;

/// The invocations that were found, and the place where the search stopped if it stopped before the end.
pub(crate) struct Found {
    pub(crate) items: Vec<Tracked>,
    pub(crate) looked_up_to: Option<Cursor>,
}

/// The question that a filter asks. A task that this program knows may be named by its end.
pub(crate) fn find(app: &Engine, filter: &Filter, limit: usize) -> Find {
    let named =
        |name: &String| app.tasks().named(name).map_or_else(|_| TaskId::from(name.as_str()), |it| it.id().clone());
    let (statuses, task) = (filter.status.clone(), filter.task.as_ref().map(named));
    Find { statuses, task, since: filter.since, until: filter.until, limit, ..Find::default() }
}

/// Reads up to `most` of what a question and a filter ask for, from at most so many pages.
pub(crate) async fn found(app: &Engine, mut find: Find, filter: &Filter, most: usize, pages: usize) -> Result<Found> {
    let mut items = Vec::new();
    for _ in 0..pages {
        let page = next_page(app, &mut find).await?;
        items.extend(matching(app, page, filter).await?);
        if find.after.is_none() || items.len() >= most {
            // No more than this was asked for.
            items.truncate(most);
            return Ok(Found { items, looked_up_to: None });
        }
    }
    Ok(Found { items, looked_up_to: find.after })
}

async fn next_page(app: &Engine, find: &mut Find) -> Result<Vec<Tracked>> {
    let Page { items, next } = app.parts().orchestrator.find(find).await?;
    find.after = next;
    Ok(items)
}

/// The items of a page that have the arguments and the error of a filter.
async fn matching(app: &Engine, mut page: Vec<Tracked>, filter: &Filter) -> Result<Vec<Tracked>> {
    if !filter.arg.is_empty() && !page.is_empty() {
        let ids: Vec<_> = page.iter().map(|item| item.id).collect();
        let records = app.parts().state.invocations(&ids).await?;
        let mut have_arguments = Vec::with_capacity(page.len());
        for record in records {
            // A call that can't be read has no arguments to compare.
            let arguments = match &record {
                Some(record) => app.json_arguments(record).await.unwrap_or_default(),
                None => serde_json::Map::new(),
            };
            have_arguments.push(filter.arg.iter().all(|(name, value)| is_value(arguments.get(name), value)));
        }
        let mut have_arguments = have_arguments.into_iter();
        page.retain(|_| have_arguments.next().unwrap_or(false));
    }
    if !filter.reads_histories() {
        return Ok(page);
    }
    // One that was forgotten meanwhile has none.
    let histories: Vec<_> = page.iter().map(|item| app.parts().orchestrator.history(item.id)).collect();
    let histories: Vec<_> = stream::iter(histories).buffered(READS).try_collect().await?;
    let mut histories = histories.iter();
    page.retain(|_| histories.next().is_some_and(|history| is_history(history, filter)));
    Ok(page)
}

/// Whether a history has the error of a filter, and a line in its range of time.
fn is_history(history: &[HistoryEntry], filter: &Filter) -> bool {
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

/// Whether an argument is what was written: as JSON, or as the text that it is.
fn is_value(argument: Option<&Value>, written: &str) -> bool {
    let is_text = argument.and_then(Value::as_str) == Some(written);
    is_text || argument.is_some_and(|argument| serde_json::from_str::<Value>(written).is_ok_and(|it| it == *argument))
}

/// What a bulk command is about: what was named, or what a filter finds among those that it may concern.
pub(crate) async fn chosen(
    app: &Engine,
    ids: &[IdText],
    filter: &Filter,
    concerned: impl Fn(Status) -> bool,
) -> Result<Vec<InvocationId>> {
    if !ids.is_empty() {
        let mut chosen = Vec::with_capacity(ids.len());
        for text in ids {
            chosen.push(named(app, text).await?);
        }
        return Ok(chosen);
    }
    let mut find = find(app, filter, PAGE);
    if find.statuses.is_empty() {
        find.statuses = Status::ALL.to_vec();
    }
    find.statuses.retain(|status| concerned(*status));
    if find.statuses.is_empty() {
        return Ok(Vec::new());
    }
    let found = found(app, find, filter, usize::MAX, usize::MAX).await?;
    Ok(found.items.into_iter().map(|tracked| tracked.id).collect())
}

/// The invocation that is named.
///
/// # Errors
///
/// None has an id of which this is a part, or several have.
pub(crate) async fn named(app: &Engine, text: &IdText) -> Result<InvocationId> {
    let digits = match text {
        IdText::Whole(id) => return Ok(*id),
        IdText::Part(digits) => digits,
    };
    let begins = |id: &str| id.starts_with(digits.as_str());
    let mut ids = match time_of(digits) {
        Some((since, until)) => among(app, Some(since), Some(until), begins).await?.0,
        None => Vec::new(),
    };
    let mut is_all = true;
    if ids.is_empty() {
        let ends_or_begins = |id: &str| begins(id) || id.ends_with(digits.as_str());
        (ids, is_all) = among(app, None, None, ends_or_begins).await?;
    }
    match &ids[..] {
        [id] => Ok(*id),
        [] => {
            let scope = if is_all { "" } else { " among those that were submitted last; write the whole id" };
            let message = format!("no invocation's id begins or ends with `{digits}`{scope}");
            Err(Error::Invalid(pynenc_core::Error::invalid(message)))
        }
        several => {
            let shown: Vec<_> = several.iter().take(5).map(ToString::to_string).collect();
            let message = format!("several ids begin or end with `{digits}`: write more of it");
            Err(Error::Invalid(pynenc_core::Error::invalid(message).with("ids", shown.join(", "))))
        }
    }
}

/// The ids with wanted digits, the newest first, and whether all ids were looked at. The search stops at the second one.
async fn among(
    app: &Engine,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<(Vec<InvocationId>, bool)> {
    let mut find = Find { since, until, newest_first: true, limit: PAGE, ..Find::default() };
    let mut ids = Vec::new();
    for _ in 0..PAGES {
        let page = next_page(app, &mut find).await?.into_iter().map(|item| item.id);
        ids.extend(page.filter(|id| is_wanted(&id.to_string().replace('-', ""))));
        if find.after.is_none() || ids.len() > 1 {
            return Ok((ids, true));
        }
    }
    Ok((ids, false))
}

/// When an id with this beginning was made, give or take the difference of two clocks: its first twelve digits are the
/// milliseconds since the Unix epoch (RFC 9562, UUID version 7).
fn time_of(digits: &str) -> Option<(Timestamp, Timestamp)> {
    const DIGITS: usize = 12;
    let known = digits.get(..digits.len().min(DIGITS)).filter(|known| known.len() >= DIGITS_WITH_TIME)?;
    let at = |digits: String| u64::from_str_radix(&digits, 16).ok().map(Timestamp::from_millis);
    Some((at(format!("{known:0<DIGITS$}"))? - SKEW, at(format!("{known:f<DIGITS$}"))? + SKEW))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_an_id_tells_its_time() {
        let skew = SKEW.as_millis() as u64;
        let times = |digits| time_of(digits).map(|(since, until)| (since.as_millis() + skew, until.as_millis() - skew));
        assert_eq!(times("0198765432107abc"), Some((0x0198_7654_3210, 0x0198_7654_3210)));
        assert_eq!(times("01987654"), Some((0x0198_7654_0000, 0x0198_7654_ffff)));
        assert_eq!(times("0198765"), None);
    }

    #[test]
    fn an_argument_is_compared_as_json_or_as_text() {
        let argument = |text: &str| serde_json::from_str::<Value>(text).ok();
        for (argument, written, expected) in [
            (argument("7"), "7", true),
            (argument("7"), "\"7\"", false),
            (argument("\"7\""), "7", true),
            (argument("\"Ann\""), "Ann", true),
            (argument("[1, 2]"), "[1,2]", true),
            (argument("null"), "null", true),
            (None, "null", false),
        ] {
            assert_eq!(is_value(argument.as_ref(), written), expected, "{argument:?} {written}");
        }
    }
}
