//! Describes a cron text in words: `at 02:30 on Monday to Friday`.

use super::dialect::DayMatch;
use super::text::{CronText, Field, Mark};

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const ORDINALS: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];
/// The largest number of times of day that are listed. More are described as a pattern.
const MAX_TIMES: usize = 4;

/// Describes the whole text.
pub(super) fn describe(text: &CronText) -> String {
    let (time, day) = (time(text), day(text));
    let is_daily = day.is_empty() && text.months.is_star() && !is_full(&text.hours, 24) && time.starts_with("at ");
    let day = if is_daily { " every day".to_owned() } else { day };
    let month = if is_full(&text.months, 12) { String::new() } else { format!(" in {}", months(&text.months)) };
    format!("{time}{day}{month}")
}

/// Describes the days of a text that restricts both day fields and fires on days that fit either.
pub(super) fn either_day(text: &CronText) -> String {
    format!("on {} or on {}", month_days(&text.days, "and"), weekdays(&text.weekdays, "and"))
}

fn day(text: &CronText) -> String {
    match (text.days.is_star(), text.weekdays.is_star()) {
        (true, true) => String::new(),
        (false, true) => format!(" on {}", month_days(&text.days, "and")),
        (true, false) => format!(" on {}", weekdays(&text.weekdays, "and")),
        (false, false) if text.day_match == Some(DayMatch::Both) => {
            format!(" on {}, if it is also {}", weekdays(&text.weekdays, "or"), month_days(&text.days, "or"))
        }
        (false, false) => format!(" {}", either_day(text)),
    }
}

fn time(text: &CronText) -> String {
    let (seconds, minutes, hours) = (&text.seconds, &text.minutes, &text.hours);
    let is_each_minute = seconds.values.iter().eq([0]);
    if let Some(times) = times_of_day(text, is_each_minute) {
        return format!("at {times}");
    }
    let units = [(seconds, "second", 60), (minutes, "minute", 60), (hours, "hour", 24)];
    let units = &units[usize::from(is_each_minute)..];
    let each_hour = leading(hours, "hour", 24);
    if is_each_minute && minutes.values.iter().eq([0]) && each_hour.starts_with("every") {
        return each_hour;
    }
    let mut words = vec![leading(units[0].0, units[0].1, units[0].2)];
    let mut is_every = words[0].starts_with("every");
    for (field, unit, size) in &units[1..] {
        match (is_full(field, *size), is_every) {
            (true, true) => {}
            (true, false) => words.push(format!("of every {unit}")),
            (false, _) => words.push(format!("of {}", numbered(field, unit))),
        }
        is_every = is_full(field, *size);
    }
    words.join(" ")
}

/// Lists the times of day, if they are few.
fn times_of_day(text: &CronText, is_each_minute: bool) -> Option<String> {
    let [seconds, minutes, hours] = [&text.seconds, &text.minutes, &text.hours].map(|field| field.values);
    if seconds.len() > 1 || minutes.len() * hours.len() > MAX_TIMES {
        return None;
    }
    let times = hours.iter().flat_map(|hour| minutes.iter().map(move |minute| (hour, minute)));
    let times = times.map(|(hour, minute)| match seconds.first() {
        Some(second) if !is_each_minute => format!("{hour:02}:{minute:02}:{second:02}"),
        _ => format!("{hour:02}:{minute:02}"),
    });
    Some(list(times.collect(), "and"))
}

fn leading(field: &Field, unit: &str, size: usize) -> String {
    let even = field.source.strip_prefix("*/").and_then(|step| step.parse::<usize>().ok());
    match even {
        _ if is_full(field, size) => format!("every {unit}"),
        Some(step) if size.is_multiple_of(step) && size > step => format!("every {step} {unit}s"),
        _ => format!("at {}", numbered(field, unit)),
    }
}

/// Describes the values of a field: `hour 3`, `hours 9 to 17`, `every 2nd hour from 0 to 22`.
fn numbered(field: &Field, unit: &str) -> String {
    let values: Vec<_> = field.values.iter().collect();
    match (values.as_slice(), progression(&values)) {
        ([value], _) => format!("{unit} {value}"),
        (_, Some((first, last, step))) => format!("every {} {unit} from {first} to {last}", ordinal(step)),
        _ => format!("{unit}s {}", list(ranges(&values, |value| value.to_string()), "and")),
    }
}

/// Returns the first value, the last value and the step of a long list with a constant step.
fn progression(values: &[u8]) -> Option<(u8, u8, u8)> {
    let mut steps = values.windows(2).map(|pair| pair[1] - pair[0]);
    let step = steps.next().filter(|step| *step > 1 && values.len() > MAX_TIMES)?;
    steps.all(|other| other == step).then_some((*values.first()?, *values.last()?, step))
}

fn ordinal(number: u8) -> String {
    let ending = match (number % 10, number / 10) {
        (1, tens) if tens != 1 => "st",
        (2, tens) if tens != 1 => "nd",
        (3, tens) if tens != 1 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

fn month_days(field: &Field, word: &str) -> String {
    let values: Vec<_> = field.values.iter().collect();
    let mut parts = Vec::new();
    if !values.is_empty() {
        let unit = match (values.len(), word) {
            (1, _) => "day",
            (_, "or") => "one of the days",
            _ => "days",
        };
        parts.push(match progression(&values) {
            Some((first, last, step)) => format!("{unit} {first} to {last} of the month in steps of {step}"),
            None => format!("{unit} {} of the month", list(ranges(&values, |value| value.to_string()), word)),
        });
    }
    parts.extend(field.marks.iter().map(|mark| match mark {
        Mark::LastDay => "the last day of the month".to_owned(),
        Mark::LastWorkday => "the last day of the month from Monday to Friday".to_owned(),
        Mark::Workday(day) => format!("the day from Monday to Friday nearest to day {day}"),
        Mark::Nth(..) | Mark::Last(_) => String::new(),
    }));
    list(parts, word)
}

/// Describes the weekdays of a field.
pub(super) fn weekdays(field: &Field, word: &str) -> String {
    // Sunday counts as 7, so that `Friday to Sunday` is a range.
    let mut values: Vec<u8> = field.values.iter().map(|day| if day == 0 { 7 } else { day }).collect();
    values.sort_unstable();
    let mut parts = ranges(&values, name_of_day);
    parts.extend(field.marks.iter().map(|mark| match mark {
        Mark::Nth(day, number) => {
            let ordinal = ORDINALS[usize::from(*number).saturating_sub(1) % 5];
            format!("the {ordinal} {} of the month", name_of_day(*day))
        }
        Mark::Last(day) => format!("the last {} of the month", name_of_day(*day)),
        Mark::LastDay | Mark::LastWorkday | Mark::Workday(_) => String::new(),
    }));
    list(parts, word)
}

fn name_of_day(day: u8) -> String {
    DAYS[usize::from(day) % 7].to_owned()
}

fn months(field: &Field) -> String {
    let name = |month: u8| MONTHS[usize::from(month).saturating_sub(1) % 12].to_owned();
    list(ranges(&field.values.iter().collect::<Vec<_>>(), name), "and")
}

fn is_full(field: &Field, size: usize) -> bool {
    field.values.len() == size
}

/// Names values; three or more consecutive values become a range.
fn ranges(values: &[u8], name: impl Fn(u8) -> String) -> Vec<String> {
    let ranges = values.chunk_by(|one, next| one + 1 == *next);
    let named = ranges.flat_map(|range| match range {
        [first, _, .., last] => vec![format!("{} to {}", name(*first), name(*last))],
        few => few.iter().map(|value| name(*value)).collect(),
    });
    named.collect()
}

fn list(mut items: Vec<String>, word: &str) -> String {
    match items.pop() {
        Some(last) if !items.is_empty() => format!("{} {word} {last}", items.join(", ")),
        last => last.unwrap_or_default(),
    }
}
