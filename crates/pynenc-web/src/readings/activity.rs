//! How many invocations finished in each minute of the last hour.
//!
//! The stores count finished invocations, but don't count them by time. So the server reads the counts every few seconds
//! while somebody looks, and for an hour after that. For the time before, it lists the last finished invocations.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pynenc_core::orchestrator::{Counts, Find};
use pynenc_core::{Status, Timestamp};
use pynenc_engine::{Engine, Result, WeakEngine};
use serde::Serialize;
use utoipa::ToSchema;

use crate::units::millis;

/// How often the counts are read.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long after the last view the counts are still read.
const WATCHED: Duration = Duration::from_secs(3600);
/// The length of the shown time.
const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: u64 = 60_000;
/// The number of finished invocations that are listed for the time before the first view: pages, and the size of a page.
const LISTED: (usize, usize) = (4, 500);

/// The finished invocations of the last hour, by minute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Activity {
    /// The time since which all finished invocations are counted, if that is less than an hour ago.
    pub(crate) since: Option<u64>,
    /// The minutes, oldest first, up to the present one.
    pub(crate) minutes: Vec<Minute>,
}

/// The invocations that finished in a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Minute {
    /// When the minute began.
    pub(crate) at: u64,
    /// All that finished.
    pub(crate) finished: u64,
    /// The failed ones among them.
    pub(crate) failed: u64,
}

/// The record of the last hour.
#[derive(Debug, Default)]
pub(crate) struct ActivityLog(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    is_kept: bool,
    last_view: Timestamp,
    since: Option<Timestamp>,
    last: Option<Totals>,
    minutes: BTreeMap<u64, Minute>,
}

/// The numbers of invocations that ever finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Totals {
    finished: u64,
    failed: u64,
}

impl ActivityLog {
    /// The finished invocations of the last hour. Begins to count them if nobody looked lately.
    pub(crate) async fn read(self: &Arc<Self>, app: &Engine) -> Result<Activity> {
        let now = app.parts().clock.now();
        let begins = {
            let mut log = self.lock();
            log.last_view = now;
            !std::mem::replace(&mut log.is_kept, true)
        };
        if begins && let Err(error) = self.begin(app, now).await {
            self.lock().is_kept = false;
            return Err(error);
        }
        Ok(self.lock().activity(now))
    }

    /// Reads the time before the first view, and starts to count.
    async fn begin(self: &Arc<Self>, app: &Engine, now: Timestamp) -> Result<()> {
        let totals = Totals::of(&app.parts().orchestrator.count().await?);
        let (since, minutes) = list_finished(app, now).await?;
        {
            let mut log = self.lock();
            log.since = since;
            log.minutes = minutes;
            log.last = Some(totals);
        }
        tokio::spawn(self.clone().keep(app.downgrade()));
        Ok(())
    }

    /// Counts until nobody has looked for an hour, or the app is dropped.
    async fn keep(self: Arc<Self>, app: WeakEngine) {
        while let Some(clock) = app.upgrade().map(|app| app.parts().clock.clone()) {
            clock.sleep(INTERVAL).await;
            let Some(app) = app.upgrade() else { return };
            match app.parts().orchestrator.count().await {
                Ok(counts) => self.lock().count(Totals::of(&counts), clock.now()),
                // The next counts have what finished in the meantime.
                Err(error) => tracing::debug!(%error, "the counts for the monitor can't be read"),
            }
            let mut log = self.lock();
            if clock.now().since(log.last_view) > WATCHED {
                *log = Log::default();
                return;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// Adds what finished since the last counts to the present minute.
    fn count(&mut self, totals: Totals, now: Timestamp) {
        let Some(last) = self.last.replace(totals) else { return };
        // After a purge the counts begin at zero again.
        let last = if totals.finished < last.finished { Totals { finished: 0, failed: 0 } } else { last };
        let at = minute_of(now);
        let minute = self.minutes.entry(at).or_insert(Minute { at, ..Minute::default() });
        minute.finished += totals.finished - last.finished;
        minute.failed += totals.failed.saturating_sub(last.failed);
        let first = minute_of(now - HOUR);
        self.minutes.retain(|at, _| *at >= first);
    }

    fn activity(&self, now: Timestamp) -> Activity {
        let last = minute_of(now);
        let first = last.saturating_sub(millis(HOUR) - MINUTE);
        let minute = |at: u64| self.minutes.get(&at).copied().unwrap_or(Minute { at, ..Minute::default() });
        let since = self.since.map(Timestamp::as_millis).filter(|since| *since > first);
        Activity { since, minutes: (first..=last).step_by(MINUTE as usize).map(minute).collect() }
    }
}

impl Totals {
    fn of(counts: &Counts) -> Self {
        let finished = Status::ALL.iter().filter(|status| status.is_final()).map(|status| counts.ever(*status)).sum();
        Self { finished, failed: counts.ever(Status::Failed) }
    }
}

/// Lists the last finished invocations. Returns since when they are all listed, unless that is the whole hour, and their
/// numbers by minute.
async fn list_finished(app: &Engine, now: Timestamp) -> Result<(Option<Timestamp>, BTreeMap<u64, Minute>)> {
    let (pages, limit) = LISTED;
    let begin = now - HOUR;
    let statuses = Status::ALL.iter().copied().filter(|status| status.is_final()).collect();
    let mut find = Find { statuses, newest_first: true, limit, ..Find::default() };
    let mut minutes: BTreeMap<u64, Minute> = BTreeMap::new();
    for _ in 0..pages {
        let page = app.parts().orchestrator.find(&find).await?;
        for item in page.items.iter().filter(|item| item.record.at >= begin) {
            let at = minute_of(item.record.at);
            let minute = minutes.entry(at).or_insert(Minute { at, ..Minute::default() });
            minute.finished += 1;
            minute.failed += u64::from(item.record.status == Status::Failed);
        }
        find.after = page.next;
        if page.next.is_none_or(|cursor| cursor.at < begin) {
            return Ok((None, minutes));
        }
    }
    // Invocations that were submitted before this time aren't listed, and may have finished after it.
    let since = find.after.map(|cursor| cursor.at);
    minutes.retain(|at, _| since.is_none_or(|since| *at >= minute_of(since)));
    Ok((since, minutes))
}

fn minute_of(time: Timestamp) -> u64 {
    time.as_millis() / MINUTE * MINUTE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finished_is_counted_in_the_minute_in_which_it_was_noticed() {
        let at = |minute: u64| Timestamp::from_millis(1_000_000 * MINUTE + minute * MINUTE + 1);
        let mut log = Log::default();
        let mut count = |finished, failed, minute| log.count(Totals { finished, failed }, at(minute));
        count(100, 10, 0);
        count(103, 11, 1);
        count(104, 11, 1);
        count(2, 1, 2);
        count(5, 1, 70);
        let shown = |activity: &Activity| {
            let minutes = activity.minutes.iter().filter(|minute| minute.finished > 0);
            minutes.map(|minute| (minute.finished, minute.failed)).collect::<Vec<_>>()
        };
        assert_eq!(shown(&log.activity(at(71))), [(3, 0)], "older minutes are gone");
        assert_eq!(log.activity(at(71)).minutes.len(), 60);
        let mut log = Log::default();
        let mut count = |finished, failed, minute| log.count(Totals { finished, failed }, at(minute));
        count(100, 10, 0);
        count(104, 11, 1);
        count(2, 1, 2);
        assert_eq!(shown(&log.activity(at(2))), [(4, 1), (2, 1)], "after a purge, counts begin at zero");
    }
}
