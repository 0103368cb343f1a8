//! Cron: when its slots are, and which of them are to be fired.

use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Zoned;
use jiff::tz::TimeZone;
use pynenc_core::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize};

use self::text::Text;

mod dialect;
mod text;
mod words;

pub use dialect::{CronDialect, DayMatch};

/// A longer text is refused before it is read.
const MAX_TEXT: usize = 256;
/// How late a slot may be and still be on time.
const ON_TIME: Duration = Duration::from_secs(5);
/// How late the one run for missed slots may be.
const ONE_WITHIN: Duration = Duration::from_secs(3600);
/// At most so many slots are fired in one step, and at most so many missed ones are counted.
const BATCH: usize = 500;

/// What becomes of slots that nobody was there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// A slot that can't be fired within five seconds is skipped.
    Skip,
    /// All of them together make one run, if the last of them is at most an hour old.
    #[default]
    One,
    /// Each makes a run of its own, if it is at most so old.
    All(Duration),
}

/// A cron text in a time zone.
///
/// One minute of one hour is a time of day: in the night in which clocks go forward over it, it is fired when the gap is over,
/// and in the one in which they go back, once. Any other text goes by what the clock on the wall shows.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    cron: Cron,
    zone: TimeZone,
    text: Text,
    dialect: CronDialect,
}

impl Schedule {
    /// Reads a cron text of five fields, or of six with the seconds first.
    ///
    /// # Errors
    ///
    /// The text or the name of the time zone isn't understood, or no time ever fits.
    pub(crate) fn parse(expression: &str, timezone: &str, dialect: CronDialect) -> Result<Self> {
        if expression.len() > MAX_TEXT {
            let error = Error::config("cron text is too long").with("bytes", expression.len());
            return Err(error.with("limit", MAX_TEXT));
        }
        let expression = text::expanded(expression);
        let text = Text::read(expression, dialect)?;
        let parser = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .dom_and_dow(text.day_match == Some(DayMatch::Both))
            .alternative_weekdays(dialect.quartz)
            .sloppy_ranges(dialect.quartz)
            .build();
        let cron = parser.parse(expression).map_err(|error| {
            Error::config(format!("cron text isn't understood: {error}")).with("cron", expression).caused_by(error)
        })?;
        let zone = TimeZone::get(timezone).map_err(|error| {
            let advice = "write a name of the tz database, such as Europe/Madrid";
            Error::config("time zone isn't known").with("timezone", timezone).with("advice", advice).caused_by(error)
        })?;
        let schedule = Self { cron, zone, text, dialect };
        match schedule.next_after(Timestamp::from_millis(0)) {
            Some(_) => Ok(schedule),
            None => Err(Error::config("no time ever fits the cron text").with("cron", expression)),
        }
    }

    /// The text in words, such as `at 02:30 on Monday to Friday`.
    pub(crate) fn description(&self) -> String {
        words::describe(&self.text)
    }

    /// The warnings about other systems that read the text differently, while no meaning is chosen.
    pub(crate) fn warnings(&self) -> Vec<String> {
        dialect::warnings(&self.text, self.dialect)
    }

    /// A slot by the clock on the wall, such as `2026-03-29T03:00:00+02:00[Europe/Madrid]`.
    pub(crate) fn local_time(&self, slot: Timestamp) -> String {
        self.local(slot).map_or_else(|| shown(slot), |time| time.to_string())
    }

    /// The first slot behind a point in time.
    pub(crate) fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&self.local(time)?, false).ok()?;
        timestamp(&next).filter(|next| *next > time)
    }

    /// The last slot up to a point in time.
    pub(crate) fn last_until(&self, time: Timestamp) -> Option<Timestamp> {
        timestamp(&self.cron.find_previous_occurrence(&self.local(time)?, true).ok()?)
    }

    /// The slots behind a point in time.
    pub(crate) fn after(&self, time: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(self.next_after(time), |slot| self.next_after(*slot))
    }

    fn local(&self, time: Timestamp) -> Option<Zoned> {
        // Slots are at whole seconds: the second that a point in time lies in is its place among them.
        let second = i64::try_from(time.as_millis() / 1000).ok()?;
        Some(jiff::Timestamp::from_second(second).ok()?.to_zoned(self.zone.clone()))
    }

    /// What is to be done about the slots behind `mark`, up to `now`.
    pub(crate) fn plan(&self, misfire: Misfire, mark: Timestamp, now: Timestamp) -> Plan {
        let Some(last) = self.last_until(now).filter(|last| *last > mark) else { return Plan::Wait };
        let window = match misfire {
            Misfire::Skip => ON_TIME,
            Misfire::One => ONE_WITHIN,
            Misfire::All(window) => window,
        };
        if last + window < now {
            return Plan::Pass { to: last, missed: self.missed(mark, last) + 1 };
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

    /// How many slots lie between two points in time, as far as they are counted.
    fn missed(&self, after: Timestamp, before: Timestamp) -> usize {
        self.after(after).take_while(|slot| *slot < before).take(BATCH).count()
    }
}

fn timestamp(time: &Zoned) -> Option<Timestamp> {
    u64::try_from(time.timestamp().as_millisecond()).ok().map(Timestamp::from_millis)
}

/// What is to be done about a schedule's slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// None has come.
    Wait,
    /// All that have come are too old.
    Pass {
        /// The last of them.
        to: Timestamp,
        /// How many they are, at least.
        missed: usize,
    },
    /// Some are to be fired, in this order.
    Fire {
        /// Their times.
        slots: Vec<Timestamp>,
        /// How many before them are passed over, at least.
        missed: usize,
    },
}

/// A point in time for people, in universal time.
pub(crate) fn shown(time: Timestamp) -> String {
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
        let slots: Vec<_> = schedule.after(at(after)).take(expected.len()).map(shown).collect();
        assert_eq!(slots, expected, "{expression} in {timezone} after {after}");
    }

    #[test]
    fn slots_are_where_the_text_says() {
        check("*/30 * * * *", "UTC", "2026-03-01T10:00:00Z", &["2026-03-01T10:30:00Z", "2026-03-01T11:00:00Z"]);
        check("*/7 * * * *", "UTC", "2026-03-01T10:50:00Z", &["2026-03-01T10:56:00Z", "2026-03-01T11:00:00Z"]);
        check("* * * * * *", "UTC", "2026-03-01T10:00:00.999Z", &["2026-03-01T10:00:01Z", "2026-03-01T10:00:02Z"]);
        check("0 0 29 2 *", "UTC", "2026-03-01T00:00:00Z", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
        check("0 9 * * MON", "Asia/Kolkata", "2026-03-01T00:00:00Z", &["2026-03-02T03:30:00Z"]);
        check("@daily", "UTC", "2026-12-31T00:00:00Z", &["2027-01-01T00:00:00Z"]);
    }

    #[test]
    fn clocks_that_go_forward_delay_what_falls_into_the_gap() {
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
    fn half_hour_shifts_are_known() {
        let first = &["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"];
        check("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", first);
    }

    #[test]
    fn what_isnt_understood_is_explained() {
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
    fn a_plan_follows_the_policy() {
        let schedule = parse("*/10 * * * *", "UTC").unwrap();
        let (mark, now) = (at("2026-03-01T10:00:00Z"), at("2026-03-01T10:42:00Z"));
        let plan = |misfire, now| schedule.plan(misfire, mark, now);
        let slots = |times: &[&str]| times.iter().map(|time| at(&format!("2026-03-01T{time}:00Z"))).collect();
        assert_eq!(plan(Misfire::One, at("2026-03-01T10:09:59.999Z")), Plan::Wait);
        assert_eq!(plan(Misfire::Skip, at("2026-03-01T10:10:01Z")), Plan::Fire { slots: slots(&["10:10"]), missed: 0 });
        assert_eq!(plan(Misfire::Skip, now), Plan::Pass { to: at("2026-03-01T10:40:00Z"), missed: 4 });
        assert_eq!(plan(Misfire::One, now), Plan::Fire { slots: slots(&["10:40"]), missed: 3 });
        let late = at("2026-03-01T10:42:00Z") + minutes(60 * 24);
        assert_eq!(plan(Misfire::One, late), Plan::Fire { slots: vec![at("2026-03-02T10:40:00Z")], missed: 147 });
        let all = plan(Misfire::All(minutes(60)), now);
        assert_eq!(all, Plan::Fire { slots: slots(&["10:10", "10:20", "10:30", "10:40"]), missed: 0 });
        let window = plan(Misfire::All(minutes(22)), now);
        assert_eq!(window, Plan::Fire { slots: slots(&["10:20", "10:30", "10:40"]), missed: 1 });
    }

    #[test]
    fn what_is_too_old_for_one_run_is_passed_over() {
        let schedule = parse("0 3 * * *", "UTC").unwrap();
        let (mark, now) = (at("2026-03-01T03:00:00Z"), at("2026-03-02T04:00:01Z"));
        assert_eq!(schedule.plan(Misfire::One, mark, now), Plan::Pass { to: at("2026-03-02T03:00:00Z"), missed: 1 });
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
        fn a_next_slot_is_later_and_a_last_one_isnt(seconds in 0..4_000_000_000u64, minute in 0..60u8, hour in 0..24u8) {
            let schedule = parse(&format!("{minute} {hour} * * *"), "Europe/Madrid").unwrap();
            let time = Timestamp::from_millis(seconds * 1000 + 7);
            let next = schedule.next_after(time).unwrap();
            prop_assert!(next > time);
            prop_assert_eq!(schedule.last_until(next), Some(next));
            prop_assert!(schedule.last_until(time).is_none_or(|last| last <= time));
        }
    }
}
