//! Reads cursors, ids and times of requests.

use std::time::Duration;

use pynenc_core::config::duration;
use pynenc_core::page::Cursor;
use pynenc_core::{InvocationId, Timestamp};

use crate::problem::Problem;

/// The longest time that a request may wait for an outcome.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// The text of a cursor, for the next page.
pub(crate) fn cursor_text(cursor: Cursor) -> String {
    format!("{}.{}", cursor.at.as_millis(), cursor.id)
}

/// Reads the text of a cursor.
pub(crate) fn parse_cursor(text: &str) -> Result<Cursor, Problem> {
    let parse = || {
        let (at, id) = text.split_once('.')?;
        Some(Cursor { at: Timestamp::from_millis(at.parse().ok()?), id: id.parse().ok()? })
    };
    parse().ok_or_else(|| Problem::invalid_request("the cursor isn't one of this API: use `next` of the page before"))
}

/// Reads an invocation id.
pub(crate) fn parse_id(text: &str) -> Result<InvocationId, Problem> {
    text.parse().map_err(|_| Problem::invalid_request(format!("`{text}` isn't an invocation id")))
}

/// Reads a time, relative to the present time.
pub(crate) fn parse_time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let now = Timestamp::from(std::time::SystemTime::now());
    let parse = |text: &str| {
        Timestamp::parse(text, now).map_err(|error| Problem::invalid_request(format!("`{name}`: {error}")))
    };
    text.filter(|text| !text.is_empty()).map(parse).transpose()
}

/// Reads the time for which a request waits.
pub(crate) fn parse_wait(text: &str) -> Result<Duration, Problem> {
    let wait = duration::parse(text).map_err(|error| Problem::invalid_request(format!("`wait`: {error}")))?;
    if wait > MAX_WAIT {
        let wait = duration::text(wait);
        return Err(Problem::invalid_request(format!("`wait` is {wait}, but a request waits for at most 5m")));
    }
    Ok(wait)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back() {
        let cursor = Cursor { at: Timestamp::from_millis(17), id: InvocationId::new() };
        assert_eq!(parse_cursor(&cursor_text(cursor)), Ok(cursor));
        for text in ["", "17", "17.x", "x.y", "-1.00000000-0000-0000-0000-000000000000"] {
            assert_eq!(parse_cursor(text).unwrap_err().status, 400, "{text}");
        }
    }
}
