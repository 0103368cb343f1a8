//! Computes the slots of a cron text in a time zone.
//!
//! A time zone is a sequence of segments with a constant offset from UTC. Within a segment, each local time occurs
//! exactly once, so the slots of a segment are the local times that fit the text. Only the start of a segment is
//! special, where clocks change: see [`Calendar::first_local`] and [`Calendar::delayed`].

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{ToSpan, civil};

use super::dialect::DayMatch;
use super::text::{CronText, Mark};

const DAY: i64 = 24 * 60 * 60;
/// The range of a search: the calendar repeats itself after 400 years.
const RANGE: i64 = 400 * 366 * DAY;

/// The days and times of a cron text in a time zone. All times are seconds since 1970, in UTC unless they are local.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calendar<'a> {
    pub(super) text: &'a CronText,
    pub(super) zone: &'a TimeZone,
}

/// A period with a constant offset from UTC.
#[derive(Debug)]
struct Segment {
    /// The first second, unless the segment has no start.
    start: Option<i64>,
    /// The first second of the next segment, unless there is none.
    end: Option<i64>,
    offset: i64,
    /// The offset of the segment before.
    offset_before: i64,
}

impl Calendar<'_> {
    /// Returns the first slot at a time or after it.
    pub(super) fn at_or_after(&self, time: i64) -> Option<i64> {
        let (mut from, limit) = (time, time.saturating_add(RANGE));
        while from < limit {
            let segment = self.segment(from)?;
            if let Some(slot) = self.delayed(&segment).filter(|slot| *slot >= from) {
                return Some(slot);
            }
            let end = segment.end.unwrap_or(limit).min(limit);
            let start = self.first_local(&segment).max(from + segment.offset);
            if let Some(local) = self.first_fit(start, end + segment.offset) {
                return Some(local - segment.offset);
            }
            from = end;
        }
        None
    }

    /// Returns the last slot at a time or before it.
    pub(super) fn at_or_before(&self, time: i64) -> Option<i64> {
        let (mut until, limit) = (time, time.saturating_sub(RANGE));
        while until > limit {
            let segment = self.segment(until)?;
            let start = self.first_local(&segment).max(limit + segment.offset);
            if let Some(local) = self.last_fit(start, until + segment.offset) {
                return Some(local - segment.offset);
            }
            if let Some(slot) = self.delayed(&segment) {
                return Some(slot);
            }
            until = segment.start? - 1;
        }
        None
    }

    fn segment(&self, time: i64) -> Option<Segment> {
        let instant = jiff::Timestamp::from_second(time).ok()?;
        let after = jiff::Timestamp::from_second(time + 1).ok()?;
        let seconds = |instant: jiff::Timestamp| instant.as_second();
        let start = self.zone.preceding(after).next().map(|transition| seconds(transition.timestamp()));
        let end = self.zone.following(instant).next().map(|transition| seconds(transition.timestamp()));
        let offset = |instant| i64::from(self.zone.to_offset(instant).seconds());
        let before = start.and_then(|start| jiff::Timestamp::from_second(start - 1).ok());
        Some(Segment { start, end, offset: offset(instant), offset_before: offset(before.unwrap_or(instant)) })
    }

    /// Returns the first local time of a segment that can be a slot. A time of day skips the times that a clock
    /// repeats after it went back.
    fn first_local(&self, segment: &Segment) -> i64 {
        let Some(start) = segment.start else { return i64::MIN };
        let repeated_from = if self.text.is_time_of_day() { segment.offset_before } else { segment.offset };
        start + segment.offset.max(repeated_from)
    }

    /// Returns the start of a segment if clocks went forward over a time of day, which fires when the gap is over.
    fn delayed(&self, segment: &Segment) -> Option<i64> {
        let start = segment.start.filter(|_| self.text.is_time_of_day())?;
        self.first_fit(start + segment.offset_before, start + segment.offset).map(|_| start)
    }

    /// Returns the first local time from `start` on and before `end` that fits the text.
    fn first_fit(&self, start: i64, end: i64) -> Option<i64> {
        let (mut day, mut second) = (start.div_euclid(DAY), start.rem_euclid(DAY));
        let mut date = date(day).filter(|_| start < end)?;
        while day * DAY < end {
            if !self.text.months.values.contains(date.month() as u8) {
                let next = date.last_of_month().tomorrow().ok()?;
                day += days_between(date, next);
                (date, second) = (next, 0);
                continue;
            }
            if self.fits_day(date)
                && let Some(second) = self.second_at_or_after(second)
            {
                return Some(day * DAY + second).filter(|local| *local < end);
            }
            (day, date, second) = (day + 1, date.tomorrow().ok()?, 0);
        }
        None
    }

    /// Returns the last local time from `start` on and up to `end` that fits the text.
    fn last_fit(&self, start: i64, end: i64) -> Option<i64> {
        let (mut day, mut second) = (end.div_euclid(DAY), end.rem_euclid(DAY));
        let mut date = date(day).filter(|_| start <= end)?;
        while (day + 1).saturating_mul(DAY) > start {
            if !self.text.months.values.contains(date.month() as u8) {
                let previous = date.first_of_month().yesterday().ok()?;
                day -= days_between(previous, date);
                (date, second) = (previous, DAY - 1);
                continue;
            }
            if self.fits_day(date)
                && let Some(second) = self.second_at_or_before(second)
            {
                return Some(day * DAY + second).filter(|local| *local >= start);
            }
            (day, date, second) = (day - 1, date.yesterday().ok()?, DAY - 1);
        }
        None
    }

    fn fits_day(&self, date: Date) -> bool {
        let (days, weekdays) = (&self.text.days, &self.text.weekdays);
        let weekday = date.weekday().to_sunday_zero_offset() as u8;
        let is_day = days.values.contains(date.day() as u8) || days.marks.iter().any(|mark| is_marked(*mark, date));
        let is_weekday = weekdays.values.contains(weekday) || weekdays.marks.iter().any(|mark| is_marked(*mark, date));
        if self.text.restricts_both() && self.text.day_match != Some(DayMatch::Both) {
            is_day || is_weekday
        } else {
            is_day && is_weekday
        }
    }

    /// Returns the first second of a day that is at least `second` and fits the text.
    fn second_at_or_after(&self, second: i64) -> Option<i64> {
        let [hours, minutes, seconds] = self.times();
        let (hour, minute, second) = split(second);
        let time = |hour, minute, second| Some(join(hour, minute, second));
        if hours.contains(hour) {
            if minutes.contains(minute)
                && let Some(second) = seconds.at_or_after(second)
            {
                return time(hour, minute, second);
            }
            if let Some(minute) = minutes.at_or_after(minute + 1) {
                return time(hour, minute, seconds.first()?);
            }
        }
        time(hours.at_or_after(hour + 1)?, minutes.first()?, seconds.first()?)
    }

    /// Returns the last second of a day that is at most `second` and fits the text.
    fn second_at_or_before(&self, second: i64) -> Option<i64> {
        let [hours, minutes, seconds] = self.times();
        let (hour, minute, second) = split(second);
        let time = |hour, minute, second| Some(join(hour, minute, second));
        if hours.contains(hour) {
            if minutes.contains(minute)
                && let Some(second) = seconds.at_or_before(second)
            {
                return time(hour, minute, second);
            }
            if let Some(minute) = minute.checked_sub(1).and_then(|minute| minutes.at_or_before(minute)) {
                return time(hour, minute, seconds.last()?);
            }
        }
        time(hours.at_or_before(hour.checked_sub(1)?)?, minutes.last()?, seconds.last()?)
    }

    fn times(&self) -> [super::values::Values; 3] {
        [&self.text.hours, &self.text.minutes, &self.text.seconds].map(|field| field.values)
    }
}

fn split(second: i64) -> (u8, u8, u8) {
    ((second / 3600) as u8, (second / 60 % 60) as u8, (second % 60) as u8)
}

fn join(hour: u8, minute: u8, second: u8) -> i64 {
    i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)
}

/// Returns the date of a day that is counted from 1970.
fn date(day: i64) -> Option<Date> {
    civil::date(1970, 1, 1).checked_add(day.days()).ok()
}

fn days_between(first: Date, last: Date) -> i64 {
    (last - first).get_days().into()
}

fn is_marked(mark: Mark, date: Date) -> bool {
    let (day, last) = (date.day() as u8, date.days_in_month() as u8);
    let weekday = date.weekday().to_sunday_zero_offset() as u8;
    // The weekday of another day of the same month.
    let weekday_of = |other: u8| (i32::from(weekday) + i32::from(other) - i32::from(day)).rem_euclid(7);
    match mark {
        Mark::LastDay => day == last,
        Mark::LastWorkday => day == nearest_workday(last, weekday_of(last), last),
        Mark::Workday(wanted) => wanted <= last && day == nearest_workday(wanted, weekday_of(wanted), last),
        Mark::Nth(wanted, number) => weekday == wanted && (day - 1) / 7 + 1 == number,
        Mark::Last(wanted) => weekday == wanted && day + 7 > last,
    }
}

/// Returns the day from Monday to Friday that is nearest to a day, within the same month.
fn nearest_workday(day: u8, weekday: i32, last: u8) -> u8 {
    const SUNDAY: i32 = 0;
    const SATURDAY: i32 = 6;
    match weekday {
        SATURDAY if day == 1 => day + 2,
        SATURDAY => day - 1,
        SUNDAY if day == last => day - 2,
        SUNDAY => day + 1,
        _ => day,
    }
}
