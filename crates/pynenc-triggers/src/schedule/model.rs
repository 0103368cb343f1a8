//! Checks schedules against a simple model that looks at the local time of every minute, and against the crate
//! `croner`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use croner::parser::{CronParser, Seconds};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use proptest::prelude::*;
use pynenc_core::Timestamp;

use super::{CronDialect, DayMatch, Schedule, rfc3339};

const DAY: i64 = 24 * 60;
const PLAIN: CronDialect = CronDialect { days: None, quartz: false };
const BOTH_DAYS: CronDialect = CronDialect { days: Some(DayMatch::Both), quartz: false };
const QUARTZ_BOTH_DAYS: CronDialect = CronDialect { days: Some(DayMatch::Both), quartz: true };
const QUARTZ_EITHER_DAY: CronDialect = CronDialect { days: Some(DayMatch::Either), quartz: true };
/// Zones with shifts of an hour and of half an hour at different times of the year, a zone that once skipped a day, and
/// two zones without shifts.
const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Madrid",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Asia/Kolkata",
];

/// Returns the values that a field stands for.
fn values(field: &str, first: i8, last: i8) -> BTreeSet<i8> {
    let number = |text: &str| text.parse::<i8>().expect("a number");
    let items = field.split(',').flat_map(|item| {
        let (range, step) = item.split_once('/').map_or((item, 1), |(range, step)| (range, number(step)));
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (first, last),
            Some((from, to)) => (number(from), number(to)),
            None => (number(range), number(range)),
        };
        (from..=to).step_by(usize::from(step.unsigned_abs()))
    });
    items.collect()
}

/// The model of a cron text with five fields.
struct Model {
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    days: BTreeSet<i8>,
    months: BTreeSet<i8>,
    weekdays: BTreeSet<i8>,
    /// Whether both day fields are restricted, and a day that fits one of them is enough.
    either_day: bool,
    /// Whether the text has one minute and one hour, so that it fires once a day even if clocks change.
    is_time_of_day: bool,
}

impl Model {
    fn new(text: &str, dialect: CronDialect) -> Self {
        let fields: Vec<_> = text.split(' ').collect();
        let [minute, hour, day, month, weekday] = fields[..] else { panic!("five fields: {text}") };
        let is_one = |field: &str| field.parse::<u8>().is_ok();
        Self {
            minutes: values(minute, 0, 59),
            hours: values(hour, 0, 23),
            days: values(day, 1, 31),
            months: values(month, 1, 12),
            weekdays: if dialect.quartz {
                values(weekday, 1, 7).into_iter().map(|day| day - 1).collect()
            } else {
                values(weekday, 0, 6)
            },
            either_day: day != "*" && weekday != "*" && dialect.days != Some(DayMatch::Both),
            is_time_of_day: is_one(minute) && is_one(hour),
        }
    }

    fn fits(&self, local: DateTime) -> bool {
        let day = self.days.contains(&local.day());
        let weekday = self.weekdays.contains(&local.weekday().to_sunday_zero_offset());
        let is_day = if self.either_day { day || weekday } else { day && weekday };
        let is_time = self.minutes.contains(&local.minute()) && self.hours.contains(&local.hour());
        is_time && is_day && self.months.contains(&local.month())
    }

    /// Returns the slots among the minutes of a clock.
    fn slots(&self, clock: &Clock) -> Vec<i64> {
        (BEFORE..clock.local_times.len())
            .filter(|index| self.is_slot(clock, *index))
            .map(|index| clock.minute(index))
            .collect()
    }

    fn is_slot(&self, clock: &Clock, index: usize) -> bool {
        let local = clock.local_times[index];
        if !self.is_time_of_day {
            return self.fits(local);
        }
        let is_first = || !clock.local_times[index - BEFORE..index].contains(&local);
        (self.fits(local) && is_first()) || clock.skipped_before(index).any(|local| self.fits(local))
    }
}

/// The minutes that a clock shows before its start. No clock goes back by as much.
const BEFORE: usize = 4 * 60;
/// [`BEFORE`] as a signed number.
const MINUTES_BEFORE: i64 = 4 * 60;

/// The local time of each minute in a zone, from [`BEFORE`] minutes before `from` on. Minutes count from 1970.
struct Clock {
    zone: &'static str,
    from: i64,
    local_times: Vec<DateTime>,
}

impl Clock {
    fn new(zone: &'static str, from: i64, length: i64) -> Self {
        let tz = TimeZone::get(zone).expect("the zone is known");
        let local = |minute: i64| {
            let instant = jiff::Timestamp::from_second(minute * 60).expect("a time of this century");
            Zoned::new(instant, tz.clone()).datetime()
        };
        Self { zone, from, local_times: (from - MINUTES_BEFORE..from + length).map(local).collect() }
    }

    fn minute(&self, index: usize) -> i64 {
        self.from - MINUTES_BEFORE + i64::try_from(index).expect("some days of minutes")
    }

    fn end(&self) -> i64 {
        self.minute(self.local_times.len())
    }

    /// Returns the local times that are skipped before a minute, because clocks go forward.
    fn skipped_before(&self, index: usize) -> impl Iterator<Item = DateTime> {
        let (before, now) = (self.local_times[index - 1], self.local_times[index]);
        let next = |local: &DateTime| local.checked_add(1.minute()).ok();
        std::iter::successors(next(&before), next).take_while(move |local| *local < now)
    }
}

fn parse(text: &str, zone: &str) -> pynenc_core::Result<Schedule> {
    Schedule::parse(text, zone, PLAIN)
}

fn check(text: &str, clock: &Clock) {
    check_dialect(text, PLAIN, clock);
}

fn check_dialect(text: &str, dialect: CronDialect, clock: &Clock) {
    let zone = clock.zone;
    let schedule = Schedule::parse(text, zone, dialect).unwrap_or_else(|error| panic!("{text}: {error}"));
    let at = |minute: i64| Timestamp::from_millis(u64::try_from(minute * 60_000).expect("after 1970"));
    let after = Timestamp::from_millis(at(clock.from).as_millis() - 1);
    let found: Vec<_> = schedule.after(after).take_while(|slot| *slot < at(clock.end())).collect();
    let expected: Vec<_> = Model::new(text, dialect).slots(clock).into_iter().map(at).collect();
    let without = |slots: &[Timestamp], others: &[Timestamp]| {
        slots.iter().filter(|slot| !others.contains(slot)).take(5).map(|slot| rfc3339(*slot)).collect::<Vec<_>>()
    };
    let (extra, missing) = (without(&found, &expected), without(&expected, &found));
    assert!(
        found == expected,
        "`{text}`{dialect} in {zone} from {}: {extra:?} too many, {missing:?} missing",
        rfc3339(at(clock.from))
    );
}

fn minute_of(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().expect("a time").as_second() / 60
}

#[test]
fn schedules_agree_with_the_model_when_clocks_change() {
    let nights = [
        ("Europe/Madrid", "2026-03-28T12:00:00Z"),
        ("Europe/Madrid", "2026-10-24T12:00:00Z"),
        ("America/New_York", "2026-03-07T12:00:00Z"),
        ("America/New_York", "2026-10-31T12:00:00Z"),
        ("America/St_Johns", "2026-03-07T12:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T00:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T00:00:00Z"),
        ("UTC", "2028-02-28T12:00:00Z"),
        ("UTC", "2027-02-28T12:00:00Z"),
    ];
    let texts = [
        "* * * * *",
        "*/7 * * * *",
        "30 * * * *",
        "0 */2 * * *",
        "15 1-3 * * *",
        "0 2,14 * * *",
        "59 23 * * *",
        "0 0 29 2 *",
    ];
    for (zone, start) in nights {
        let clock = Clock::new(zone, minute_of(start), 2 * DAY);
        for hour in 0..4 {
            for minute in [0, 1, 15, 30, 45, 59] {
                check(&format!("{minute} {hour} * * *"), &clock);
            }
        }
        texts.iter().for_each(|text| check(text, &clock));
    }
}

/// Texts without a slot, or with one in many years.
#[test]
fn a_search_for_rare_slots_ends_quickly() {
    let start = Instant::now();
    for text in [
        "0 0 30 2 *",
        "0 0 31 2,4,6,9,11 *",
        "59 59 23 31 12 SUN#5",
        "0 0 29 2 MON#5",
        "* * * * * *",
        "59 59 23 29 2 MON",
        "0 0 L 2 FRI#L",
        "0 0 1-31/30 * 7",
    ] {
        if let Ok(schedule) = parse(text, "America/St_Johns") {
            schedule.after(Timestamp::from_millis(0)).take(3).for_each(drop);
        }
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

fn any_field(first: u8, last: u8) -> impl Strategy<Value = String> {
    let value = first..=last;
    prop_oneof![
        3 => Just("*".to_owned()),
        4 => value.clone().prop_map(|value| value.to_string()),
        1 => (2..=last / 2).prop_map(|step| format!("*/{step}")),
        1 => prop::collection::vec(value.clone(), 2..4)
            .prop_map(|values| values.iter().map(u8::to_string).collect::<Vec<_>>().join(",")),
        1 => (value.clone(), value, 1..4_u8).prop_map(|(one, other, step)| {
            let (from, to) = (one.min(other), one.max(other));
            if step == 1 { format!("{from}-{to}") } else { format!("{from}-{to}/{step}") }
        }),
    ]
}

/// Returns days of the month, with `L`, `LW` and `15W`.
fn any_days() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => any_field(1, 31),
        1 => Just("L".to_owned()),
        1 => Just("LW".to_owned()),
        1 => (1..32_u8).prop_map(|day| format!("{day}W")),
        1 => (1..32_u8, 1..32_u8).prop_map(|(one, other)| format!("{one},{other}W")),
    ]
}

/// Returns weekdays, with `FRI#2` and `FRIL`.
fn any_weekdays() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => any_field(0, 6),
        1 => (0..7_u8, 1..6_u8).prop_map(|(day, number)| format!("{day}#{number}")),
        1 => (0..7_u8).prop_map(|day| format!("{day}L")),
        1 => (0..7_u8, 0..7_u8).prop_map(|(one, other)| format!("{one},{other}L")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn random_schedules_agree_with_the_model(
        fields in (any_field(0, 59), any_field(0, 23), any_field(1, 28), any_field(1, 12), any_field(1, 6)),
        dialect in prop::sample::select(vec![PLAIN, PLAIN, BOTH_DAYS, QUARTZ_BOTH_DAYS, QUARTZ_EITHER_DAY]),
        zone in prop::sample::select(ZONES.to_vec()),
        from in minute_of("2004-01-01T00:00:00Z")..minute_of("2030-01-01T00:00:00Z"),
    ) {
        let (minute, hour, day, month, weekday) = fields;
        let is_possible = month == "*" || day == "*" || weekday != "*" || !day.contains('/');
        prop_assume!(is_possible);
        let text = format!("{minute} {hour} {day} {month} {weekday}");
        check_dialect(&text, dialect, &Clock::new(zone, from, 2 * DAY));
    }

    #[test]
    fn random_schedules_agree_with_croner(
        fields in (any_field(0, 59), any_field(0, 59), any_field(0, 23), any_field(1, 12)),
        days in any_days(),
        weekdays in any_weekdays(),
        dialect in prop::sample::select(vec![PLAIN, BOTH_DAYS]),
        zone in prop::sample::select(ZONES.to_vec()),
        from in minute_of("2004-01-01T00:00:00Z")..minute_of("2030-01-01T00:00:00Z"),
    ) {
        // croner gives up at a gap of a day.
        prop_assume!(zone != "Pacific/Apia");
        let (second, minute, hour, month) = fields;
        let text = format!("{second} {minute} {hour} {days} {month} {weekdays}");
        let cron = CronParser::builder()
            .seconds(Seconds::Required)
            .dom_and_dow(dialect.days == Some(DayMatch::Both))
            .build()
            .parse(&text)
            .unwrap();
        let start = jiff::Timestamp::from_second(from * 60).unwrap().to_zoned(TimeZone::get(zone).unwrap());
        let at = |time: &Zoned| Timestamp::from_millis(u64::try_from(time.timestamp().as_millisecond()).unwrap());
        // Some combinations of days and months never occur.
        let Ok(schedule) = Schedule::parse(&text, zone, dialect) else {
            prop_assert!(cron.find_next_occurrence(&start, false).is_err(), "{text} has a slot");
            return Ok(());
        };
        let next: Vec<_> = schedule.after(at(&start)).take(5).collect();
        let expected: Vec<_> = cron.iter_after(start.clone()).take(5).map(|time| at(&time)).collect();
        prop_assert_eq!(next, expected, "after {}: {}{}", start, text, dialect);
        let last = schedule.last_until(at(&start));
        let expected = cron.find_previous_occurrence(&start, true).ok().map(|time| at(&time));
        prop_assert_eq!(last, expected, "until {}: {}{}", start, text, dialect);
    }

    #[test]
    fn a_long_text_is_refused_or_parsed(text in "[0-9*/,?LW#A-Z @\u{0}é-]{0,300}", times in 1..40_usize) {
        let long = text.repeat(times);
        let is_short = long.len() <= super::MAX_TEXT;
        prop_assert!(is_short || parse(&long, "UTC").is_err());
        let _ = parse(&long, "UTC");
        let _ = parse(&text, &long);
    }
}
