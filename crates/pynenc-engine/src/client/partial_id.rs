//! Completes partial invocation ids: finds the one id that begins or ends with given digits.

use std::time::Duration;

use pynenc_core::orchestrator::Find;
use pynenc_core::{InvocationId, Timestamp};

use super::search::Search;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// The maximum difference between the store's clock and the clock of the process that made an id.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(600);
/// The number of leading digits that narrows the creation time of an id to about a minute.
const MIN_TIME_DIGITS: usize = 8;

impl Engine {
    /// Returns the id of the invocation whose id begins or ends with these hexadecimal digits, without dashes and in lower
    /// case.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if no id or more than one id begins or ends with the digits.
    ///
    /// # Cancel safety
    ///
    /// It only reads.
    pub async fn complete_id(&self, digits: &str) -> Result<InvocationId> {
        let begins = |id: &str| id.starts_with(digits);
        let mut ids = match creation_range(digits) {
            Some((since, until)) => self.matching_ids(Some(since), Some(until), begins).await?.0,
            None => Vec::new(),
        };
        let mut searched_all = true;
        if ids.is_empty() {
            let begins_or_ends = |id: &str| begins(id) || id.ends_with(digits);
            (ids, searched_all) = self.matching_ids(None, None, begins_or_ends).await?;
        }
        match &ids[..] {
            [id] => Ok(*id),
            [] => {
                let scope = if searched_all { "" } else { " among the latest submissions; give the full id" };
                let message = format!("no invocation's id begins or ends with `{digits}`{scope}");
                Err(Error::Invalid(pynenc_core::Error::invalid(message)))
            }
            several => {
                let shown: Vec<_> = several.iter().take(5).map(ToString::to_string).collect();
                let message = format!("several ids begin or end with `{digits}`: give more digits");
                Err(Error::Invalid(pynenc_core::Error::invalid(message).with("ids", shown.join(", "))))
            }
        }
    }

    /// Returns the ids that match, newest first, and whether all ids were searched. Stops after a page with a second match.
    async fn matching_ids(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        is_match: impl Fn(&str) -> bool,
    ) -> Result<(Vec<InvocationId>, bool)> {
        let mut query = Find { since, until, newest_first: true, limit: Search::PAGE_SIZE, ..Find::default() };
        let mut ids = Vec::new();
        for _ in 0..Search::MAX_PAGES {
            let page = self.parts().orchestrator.find(&query).await?;
            query.after = page.next;
            let page = page.items.into_iter().map(|item| item.id);
            ids.extend(page.filter(|id| is_match(&id.to_string().replace('-', ""))));
            if query.after.is_none() || ids.len() > 1 {
                return Ok((ids, true));
            }
        }
        Ok((ids, false))
    }
}

/// The time range in which an id with these first digits was made, widened by the clock skew. The first twelve digits
/// of an id are the milliseconds since the Unix epoch (RFC 9562, UUID version 7).
fn creation_range(digits: &str) -> Option<(Timestamp, Timestamp)> {
    const TIME_DIGITS: usize = 12;
    let known = digits.get(..digits.len().min(TIME_DIGITS)).filter(|known| known.len() >= MIN_TIME_DIGITS)?;
    let at = |digits: String| u64::from_str_radix(&digits, 16).ok().map(Timestamp::from_millis);
    let (first, last) = (at(format!("{known:0<TIME_DIGITS$}"))?, at(format!("{known:f<TIME_DIGITS$}"))?);
    Some((first - MAX_CLOCK_SKEW, last + MAX_CLOCK_SKEW))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_digits_of_an_id_give_its_creation_range() {
        let skew = MAX_CLOCK_SKEW.as_millis() as u64;
        let range =
            |digits| creation_range(digits).map(|(since, until)| (since.as_millis() + skew, until.as_millis() - skew));
        assert_eq!(range("0198765432107abc"), Some((0x0198_7654_3210, 0x0198_7654_3210)));
        assert_eq!(range("01987654"), Some((0x0198_7654_0000, 0x0198_7654_ffff)));
        assert_eq!(range("0198765"), None);
    }
}
