//! Cron schedules: the times of their slots, and the plan for slots that are due.

use std::time::Duration;

use jiff::Zoned;
use jiff::tz::TimeZone;
use pynenc_core::{Error, Result, Timestamp};
use serde::Serialize;

use self::calendar::Calendar;
use self::text::CronText;

mod calendar;
mod description;
mod dialect;
mod text;
mod values;
mod warnings;

pub use dialect::{CronDialect, DayMatch};

/// The longest cron text, in bytes. A longer text is refused before it is parsed.
const MAX_TEXT: usize = 256;
/// The longest delay of a slot under [`Misfire::Skip`].
const ON_TIME: Duration = Duration::from_secs(5);
/// The longest delay of a slot under [`Misfire::One`].
const ONE_WITHIN: Duration = Duration::from_secs(3600);
/// The largest number of slots that fire in one step, and the largest number of missed slots that are counted.
const BATCH: usize = 500;

/// The policy for missed slots: the slots of a schedule that no runner was there for.
///
/// A slot that isn't made up for is recorded as a run of its trigger, and logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// Skips a slot that can't fire within five seconds.
    Skip,
    /// Fires once for all missed slots, if the last of them is at most an hour old.
    #[default]
    One,
    /// Fires once for each missed slot that is at most this old.
    All(Duration),
}

/// A cron text in a time zone.
///
/// A text with one minute and one hour is a time of day, and fires once a day. If clocks go forward over that time, it
/// fires when the gap is over. If clocks go back over it, it fires the first time. Any other text goes by the local
/// time: a time in a gap doesn't fire, and a time that repeats fires twice.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    zone: TimeZone,
    text: CronText,
    dialect: CronDialect,
}

impl Schedule {
    /// Parses a cron text of five fields, or of six with the seconds first.
    ///
    /// # Errors
    ///
    /// The text or the name of the time zone can't be read, or no time ever fits the text.
    pub(crate) fn parse(expression: &str, timezone: &str, dialect: CronDialect) -> Result<Self> {
        if expression.len() > MAX_TEXT {
            let error = Error::config("the cron text is too long").with("bytes", expression.len());
            return Err(error.with("limit", MAX_TEXT));
        }
        let expression = text::expanded(expression);
        let text = CronText::read(expression, dialect)?;
        let zone = TimeZone::get(timezone).map_err(|error| {
            let advice = "write a name of the tz database, such as Europe/Madrid";
            Error::config("unknown time zone").with("timezone", timezone).with("advice", advice).caused_by(error)
        })?;
        let schedule = Self { zone, text, dialect };
        match schedule.next_after(Timestamp::from_millis(0)) {
            Some(_) => Ok(schedule),
            None => Err(Error::config("no time ever fits the cron text").with("cron", expression)),
        }
    }

    /// Describes the text in words, such as `at 02:30 on Monday to Friday`.
    pub(crate) fn description(&self) -> String {
        description::describe(&self.text)
    }

    /// Returns the warnings about other systems that read the text differently. There are none once a meaning is
    /// chosen.
    pub(crate) fn warnings(&self) -> Vec<String> {
        warnings::warnings(&self.text, self.dialect)
    }

    /// Formats a slot in local time, such as `2026-03-29T03:00:00+02:00[Europe/Madrid]`.
    pub(crate) fn local_time(&self, slot: Timestamp) -> String {
        self.local(slot).map_or_else(|| rfc3339(slot), |time| time.to_string())
    }

    /// Returns the first slot after a time.
    pub(crate) fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        timestamp(self.calendar().at_or_after(second(time)?.checked_add(1)?)?)
    }

    /// Returns the last slot at a time or before it.
    pub(crate) fn last_until(&self, time: Timestamp) -> Option<Timestamp> {
        timestamp(self.calendar().at_or_before(second(time)?)?)
    }

    /// Returns the slots after a time.
    pub(crate) fn after(&self, time: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(self.next_after(time), |slot| self.next_after(*slot))
    }

    fn calendar(&self) -> Calendar<'_> {
        Calendar { text: &self.text, zone: &self.zone }
    }

    fn local(&self, time: Timestamp) -> Option<Zoned> {
        Some(jiff::Timestamp::from_second(second(time)?).ok()?.to_zoned(self.zone.clone()))
    }

    /// Plans the slots after `mark`, up to `now`.
    pub(crate) fn plan(&self, misfire: Misfire, mark: Timestamp, now: Timestamp) -> Plan {
        let Some(last) = self.last_until(now).filter(|last| *last > mark) else { return Plan::Wait };
        let window = match misfire {
            Misfire::Skip => ON_TIME,
            Misfire::One => ONE_WITHIN,
            Misfire::All(window) => window,
        };
        if last + window < now {
            return Plan::Skip { to: last, missed: self.missed(mark, last) + 1 };
        }
        let slots = match misfire {
            Misfire::Skip | Misfire::One => vec![last],
            Misfire::All(_) => {
                let start = mark.max(now - window - Duration::from_millis(1));
                self.after(start).take_while(|slot| *slot <= now).take(BATCH).collect()
            }
        };
        let missed = slots.first().map_or(0, |first| self.missed(mark, *first));
        Plan::Fire { slots, missed }
    }

    /// Counts the slots between two times. Counting stops at [`BATCH`].
    fn missed(&self, after: Timestamp, before: Timestamp) -> usize {
        self.after(after).take_while(|slot| *slot < before).take(BATCH).count()
    }
}

/// Returns the second of a time. Slots are at whole seconds, so that milliseconds make no difference.
fn second(time: Timestamp) -> Option<i64> {
    i64::try_from(time.as_millis() / 1000).ok()
}

fn timestamp(second: i64) -> Option<Timestamp> {
    u64::try_from(second).ok()?.checked_mul(1000).map(Timestamp::from_millis)
}

/// The plan for the slots of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// No slot is due.
    Wait,
    /// All due slots are too old.
    Skip {
        /// The last due slot.
        to: Timestamp,
        /// The number of due slots. Counting stops at [`BATCH`].
        missed: usize,
    },
    /// These slots fire.
    Fire {
        /// The slots, in their order.
        slots: Vec<Timestamp>,
        /// The number of due slots before them, which are skipped. Counting stops at [`BATCH`].
        missed: usize,
    },
}

/// Formats a time as RFC 3339, in UTC.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).map_or_else(|_| "an unknown time".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod dialect_tests;
#[cfg(test)]
mod model;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        let time: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_millis(u64::try_from(time.as_millisecond()).unwrap())
    }

    fn parse(expression: &str, timezone: &str) -> Result<Schedule> {
        Schedule::parse(expression, timezone, CronDialect::default())
    }

    fn check(expression: &str, timezone: &str, after: &str, expected: &[&str]) {
        let schedule = parse(expression, timezone).unwrap();
        let slots: Vec<_> = schedule.after(at(after)).take(expected.len()).map(rfc3339).collect();
        assert_eq!(slots, expected, "{expression} in {timezone} after {after}");
    }

    #[test]
    fn slots_follow_the_cron_text() {
        check("*/30 * * * *", "UTC", "2026-03-01T10:00:00Z", &["2026-03-01T10:30:00Z", "2026-03-01T11:00:00Z"]);
        check("*/7 * * * *", "UTC", "2026-03-01T10:50:00Z", &["2026-03-01T10:56:00Z", "2026-03-01T11:00:00Z"]);
        check("* * * * * *", "UTC", "2026-03-01T10:00:00.999Z", &["2026-03-01T10:00:01Z", "2026-03-01T10:00:02Z"]);
        check("0 0 29 2 *", "UTC", "2026-03-01T00:00:00Z", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
        check("0 9 * * MON", "Asia/Kolkata", "2026-03-01T00:00:00Z", &["2026-03-02T03:30:00Z"]);
        check("@daily", "UTC", "2026-12-31T00:00:00Z", &["2027-01-01T00:00:00Z"]);
    }

    #[test]
    fn clocks_that_go_forward_delay_a_time_of_day_in_the_gap() {
        let spring = "2026-03-28T12:00:00Z";
        check("30 2 * * *", "Europe/Madrid", spring, &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
        check("0 3 * * *", "Europe/Madrid", spring, &["2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"]);
        let hourly = &["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z"];
        check("30 * * * *", "Europe/Madrid", "2026-03-29T00:00:00Z", hourly);
    }

    #[test]
    fn clocks_that_go_back_repeat_intervals_and_no_times_of_day() {
        let autumn = "2026-10-24T12:00:00Z";
        check("30 2 * * *", "Europe/Madrid", autumn, &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        let both = &["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"];
        check("*/30 * * * *", "Europe/Madrid", "2026-10-24T23:30:00Z", both);
        let york = &["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"];
        check("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", york);
    }

    #[test]
    fn a_half_hour_shift_moves_the_slots() {
        let first = &["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"];
        check("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", first);
    }

    #[test]
    fn an_unreadable_text_is_refused_with_advice() {
        let error = |expression: &str, timezone: &str| parse(expression, timezone).unwrap_err().to_string();
        for text in ["", "* * *", "61 * * * *", "* * * * * * * *", "a b c d e", "\0", "*/0 * * * *"] {
            assert!(error(text, "UTC").contains("five fields"), "{text}: {}", error(text, "UTC"));
        }
        assert!(error(&"*".repeat(10_000), "UTC").contains("too long"));
        assert!(error("0 0 30 2 *", "UTC").contains("no time ever fits"));
        assert!(error("* * * * *", "Mars/Olympus").contains("Europe/Madrid"));
    }

    fn minutes(n: u64) -> Duration {
        Duration::from_secs(n * 60)
    }

    #[test]
    fn a_plan_follows_the_misfire_policy() {
        let schedule = parse("*/10 * * * *", "UTC").unwrap();
        let (mark, now) = (at("2026-03-01T10:00:00Z"), at("2026-03-01T10:42:00Z"));
        let plan = |misfire, now| schedule.plan(misfire, mark, now);
        let slots = |times: &[&str]| times.iter().map(|time| at(&format!("2026-03-01T{time}:00Z"))).collect();
        assert_eq!(plan(Misfire::One, at("2026-03-01T10:09:59.999Z")), Plan::Wait);
        assert_eq!(plan(Misfire::Skip, at("2026-03-01T10:10:01Z")), Plan::Fire { slots: slots(&["10:10"]), missed: 0 });
        assert_eq!(plan(Misfire::Skip, now), Plan::Skip { to: at("2026-03-01T10:40:00Z"), missed: 4 });
        assert_eq!(plan(Misfire::One, now), Plan::Fire { slots: slots(&["10:40"]), missed: 3 });
        let late = at("2026-03-01T10:42:00Z") + minutes(60 * 24);
        assert_eq!(plan(Misfire::One, late), Plan::Fire { slots: vec![at("2026-03-02T10:40:00Z")], missed: 147 });
        let all = plan(Misfire::All(minutes(60)), now);
        assert_eq!(all, Plan::Fire { slots: slots(&["10:10", "10:20", "10:30", "10:40"]), missed: 0 });
        let window = plan(Misfire::All(minutes(22)), now);
        assert_eq!(window, Plan::Fire { slots: slots(&["10:20", "10:30", "10:40"]), missed: 1 });
    }

    #[test]
    fn slots_too_old_for_the_misfire_policy_are_skipped() {
        let schedule = parse("0 3 * * *", "UTC").unwrap();
        let (mark, now) = (at("2026-03-01T03:00:00Z"), at("2026-03-02T04:00:01Z"));
        assert_eq!(schedule.plan(Misfire::One, mark, now), Plan::Skip { to: at("2026-03-02T03:00:00Z"), missed: 1 });
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9*/,LW#? A-Z@-]{0,40}", zone in "[A-Za-z/_]{0,12}") {
            let _ = parse(&text, &zone);
            let quartz = CronDialect { days: Some(DayMatch::Both), quartz: true };
            if let Ok(schedule) = Schedule::parse(&text, "UTC", quartz) {
                prop_assert!(!schedule.description().is_empty() && schedule.warnings().is_empty(), "{text}");
            }
        }

        #[test]
        fn the_next_slot_is_later_and_the_last_slot_is_not(
            seconds in 0..4_000_000_000u64,
            minute in 0..60u8,
            hour in 0..24u8,
        ) {
            let schedule = parse(&format!("{minute} {hour} * * *"), "Europe/Madrid").unwrap();
            let time = Timestamp::from_millis(seconds * 1000 + 7);
            let next = schedule.next_after(time).unwrap();
            prop_assert!(next > time);
            prop_assert_eq!(schedule.last_until(next), Some(next));
            prop_assert!(schedule.last_until(time).is_none_or(|last| last <= time));
        }
    }
}
