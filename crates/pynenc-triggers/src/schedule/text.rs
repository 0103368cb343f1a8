//! Parses a cron text field by field, so that a refusal can name the field and show the text to write instead.
//!
//! This module refuses texts that systems read too differently to guess. It provides the values of each field for the
//! calendar, descriptions and warnings.

use std::time::Duration;

use pynenc_core::{Error, Result};

use super::dialect::{CronDialect, DayMatch};
use super::values::Values;

const FIELDS: &str = "write five fields (minute hour day month weekday), or six with the seconds first";
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
pub(super) const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const NICKNAMES: [(&str, &str); 7] = [
    ("@YEARLY", "0 0 1 1 *"),
    ("@ANNUALLY", "0 0 1 1 *"),
    ("@MONTHLY", "0 0 1 * *"),
    ("@WEEKLY", "0 0 * * SUN"),
    ("@DAILY", "0 0 * * *"),
    ("@MIDNIGHT", "0 0 * * *"),
    ("@HOURLY", "0 * * * *"),
];

/// A parsed cron text.
#[derive(Debug, Clone)]
pub(super) struct CronText {
    pub(super) expression: String,
    pub(super) seconds: Field,
    pub(super) minutes: Field,
    pub(super) hours: Field,
    pub(super) days: Field,
    pub(super) months: Field,
    pub(super) weekdays: Field,
    /// The number of fields in the text: five, or six with the seconds.
    pub(super) count: usize,
    /// The days on which a text fires that restricts both day fields; `None` if neither the text nor its options
    /// choose.
    pub(super) day_match: Option<DayMatch>,
}

/// One field of a cron text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) source: String,
    /// The values that fit. Weekdays count from 0, Sunday, to 6.
    pub(super) values: Values,
    pub(super) marks: Vec<Mark>,
}

/// A day that depends on the month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// `L`
    LastDay,
    /// `LW`
    LastWorkday,
    /// `15W`
    Workday(u8),
    /// `FRI#2`
    Nth(u8, u8),
    /// `FRIL`
    Last(u8),
}

/// The kind of a field: its name and its range of values.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldKind {
    name: &'static str,
    first: u8,
    last: u8,
    /// The number of different values.
    size: u8,
    /// The names of the values. The first is the name of `named_from`.
    names: &'static [&'static str],
    named_from: u8,
    /// Whether `5/15` means `5-59/15`.
    open_steps: bool,
}

impl FieldKind {
    const fn numbers(name: &'static str, first: u8, last: u8) -> Self {
        Self { name, first, last, size: last - first + 1, names: &[], named_from: 0, open_steps: false }
    }

    const SECOND: Self = Self::numbers("second", 0, 59);
    const MINUTE: Self = Self::numbers("minute", 0, 59);
    const HOUR: Self = Self::numbers("hour", 0, 23);
    const DAY: Self = Self::numbers("day", 1, 31);
    const MONTH: Self = Self { names: &MONTHS, named_from: 1, ..Self::numbers("month", 1, 12) };
    /// Sunday is 0 and 7.
    const WEEKDAY: Self = Self { size: 7, names: &WEEKDAYS, ..Self::numbers("weekday", 0, 7) };
    /// Sunday is 1.
    const QUARTZ_WEEKDAY: Self =
        Self { names: &WEEKDAYS, named_from: 1, open_steps: true, ..Self::numbers("weekday", 1, 7) };

    fn is_weekday(self) -> bool {
        self.name == "weekday"
    }

    /// Parses a number or a name.
    fn value(self, text: &str) -> Result<u8, Refusal> {
        if let Some(index) = self.names.iter().position(|name| *name == text) {
            return Ok(index as u8 + self.named_from);
        }
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(value) if is_number && (self.first..=self.last).contains(&value) => Ok(value),
            _ if is_number => {
                Err(Refusal::of(format!("{} {text} isn't within {}-{}", self.name, self.first, self.last)))
            }
            _ => Err(Refusal::of(format!("the field {} can't have `{text}`", self.name))),
        }
    }

    /// Converts a value to the form in [`Field::values`], where Sunday is 0.
    fn normalized(self, value: u8) -> u8 {
        if self.is_weekday() { (value + 7 - self.named_from) % 7 } else { value }
    }

    fn spelled(self, value: u8, by_name: bool) -> String {
        let index = usize::from(value.saturating_sub(self.named_from));
        match self.names.get(index % self.names.len().max(1)) {
            Some(name) if by_name => (*name).to_owned(),
            _ => value.to_string(),
        }
    }
}

/// A refusal of a text.
#[derive(Debug)]
struct Refusal {
    reason: String,
    advice: Option<String>,
    /// The field to write instead, if it is known.
    instead: Option<String>,
}

impl Refusal {
    fn of(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), advice: None, instead: None }
    }

    fn advice(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    fn instead(self, field: impl Into<String>) -> Self {
        Self { instead: Some(field.into()), ..self }
    }

    /// Makes the error that shows the text and the advice.
    fn error(self, expression: &str) -> Error {
        let error = Error::config(format!("can't read the cron text: {}", self.reason)).with("cron", expression);
        error.with("advice", self.advice.as_deref().unwrap_or(FIELDS))
    }
}

/// Replaces a nickname such as `@daily` with its text.
pub(super) fn expanded(expression: &str) -> &str {
    let name = expression.trim().to_ascii_uppercase();
    NICKNAMES.iter().find(|(nickname, _)| *nickname == name).map_or(expression, |(_, text)| text)
}

impl CronText {
    /// Parses a text without nicknames.
    ///
    /// # Errors
    ///
    /// A field can't be read, or systems read it too differently to guess.
    pub(super) fn read(expression: &str, dialect: CronDialect) -> Result<Self> {
        let upper = expression.to_ascii_uppercase();
        let refused = |refusal: Refusal| refusal.error(expression);
        refuse_other_forms(expression, &upper).map_err(refused)?;
        let mut fields: Vec<&str> = upper.split_whitespace().collect();
        let count = fields.len();
        match count {
            5 => fields.insert(0, "0"),
            6 => {}
            7 => return Err(refused(Refusal::of("a field of years isn't supported").advice(FIELDS))),
            _ => return Err(refused(Refusal::of(format!("the number of its fields is {count}")))),
        }
        let day_match = day_match(&mut fields, dialect).map_err(refused)?;
        let kinds = kinds(dialect);
        let mut read = Vec::with_capacity(fields.len());
        for (index, (field, kind)) in fields.iter().zip(kinds).enumerate() {
            read.push(Field::read(field, kind).map_err(|refusal| {
                let index = index + count - fields.len();
                instead_of_field(refusal, expression, index).error(expression)
            })?);
        }
        let Ok([seconds, minutes, hours, days, months, weekdays]) = <[Field; 6]>::try_from(read) else {
            return Err(refused(Refusal::of(format!("the number of its fields is {count}"))));
        };
        let expression_text = expression.trim().to_owned();
        let text =
            Self { expression: expression_text, seconds, minutes, hours, days, months, weekdays, count, day_match };
        if dialect.quartz && text.restricts_both() && day_match.is_none() {
            let reason = "Quartz allows one of the fields day and weekday, and `?` for the other";
            let advice = "write `?` in one of them, or call `.either_day()` or `.both_days()`";
            return Err(refused(Refusal::of(reason).advice(advice)));
        }
        Ok(text)
    }

    /// Whether the field day and the field weekday are both restricted: neither is `*` or `?`.
    pub(super) fn restricts_both(&self) -> bool {
        !self.days.is_star() && !self.weekdays.is_star()
    }

    /// Whether the text has one time of day, which fires once a day even if clocks change. A step such as `*/24` is an
    /// interval.
    pub(super) fn is_time_of_day(&self) -> bool {
        let fields = [&self.hours, &self.minutes, &self.seconds];
        fields.iter().all(|field| field.values.len() == 1 && !field.source.contains('/'))
    }
}

/// Returns the kinds of the six fields.
fn kinds(dialect: CronDialect) -> [FieldKind; 6] {
    let weekday = if dialect.quartz { FieldKind::QUARTZ_WEEKDAY } else { FieldKind::WEEKDAY };
    [FieldKind::SECOND, FieldKind::MINUTE, FieldKind::HOUR, FieldKind::DAY, FieldKind::MONTH, weekday]
        .map(|kind| FieldKind { open_steps: dialect.quartz, ..kind })
}

/// Removes `+`, the sign for "both days", from the field weekday.
fn day_match(fields: &mut [&str], dialect: CronDialect) -> Result<Option<DayMatch>, Refusal> {
    let weekdays = fields.last_mut().and_then(|field| field.strip_prefix('+').map(|rest| *field = rest));
    match (weekdays, dialect.days) {
        (None, chosen) => Ok(chosen),
        (Some(()), Some(DayMatch::Either)) => {
            Err(Refusal::of("`+` asks for both days, `.either_day()` for one of them").advice("keep one of the two"))
        }
        (Some(()), _) => Ok(Some(DayMatch::Both)),
    }
}

/// Puts the field to write instead into the whole text.
fn instead_of_field(refusal: Refusal, expression: &str, index: usize) -> Refusal {
    let Some(field) = &refusal.instead else { return refusal };
    let mut fields: Vec<_> = expression.split_whitespace().map(str::to_owned).collect();
    let sign = if fields[index].starts_with('+') { "+" } else { "" };
    fields[index] = format!("{sign}{field}");
    let advice = format!("write `{}`", fields.join(" "));
    let advice = refusal.advice.as_ref().map_or(advice.clone(), |more| format!("{advice}; {more}"));
    refusal.advice(advice)
}

/// Refuses forms of other systems that aren't cron fields.
fn refuse_other_forms(expression: &str, upper: &str) -> Result<(), Refusal> {
    let trimmed = upper.trim();
    if let Some(length) = trimmed.strip_prefix("@EVERY") {
        return Err(every(length.trim()));
    }
    if trimmed == "@REBOOT" {
        let advice = "submit the call where your program starts";
        return Err(Refusal::of("`@reboot` isn't a time").advice(advice));
    }
    if trimmed.starts_with('@') {
        let known: Vec<_> = NICKNAMES.iter().map(|(name, _)| name.to_lowercase()).collect();
        let reason = format!("`{}` isn't known", expression.trim());
        return Err(Refusal::of(reason).advice(format!("write one of {}, or five fields", known.join(", "))));
    }
    if let Some((name, rest)) = expression.trim().split_once('=') {
        let zone = rest.split_whitespace().next().unwrap_or_default();
        if name.to_ascii_uppercase().ends_with("TZ") {
            let advice = format!("call `.timezone(\"{zone}\")`");
            return Err(Refusal::of("the time zone isn't part of the text").advice(advice));
        }
    }
    let is_hash = |item: &str| item == "H" || item.starts_with("H(") || item.starts_with("H/");
    if trimmed.split([' ', '\t', ',']).any(is_hash) {
        let advice = "write a number that you choose, such as `17` for `H` and `2-59/15` for `H/15`";
        return Err(Refusal::of("`H`, a value that Jenkins chooses, isn't supported").advice(advice));
    }
    Ok(())
}

/// Refuses `@every 5m` with the text for the same interval.
fn every(length: &str) -> Refusal {
    let refusal = Refusal::of("`@every` counts from the start of a process; a cron text goes by the clock");
    match humantime::parse_duration(&length.to_lowercase()).ok().and_then(text_of_interval) {
        Some(text) => refusal.advice(format!("write `{text}`")),
        None => refusal.advice(
            "write a text whose step divides a minute, an hour or a day, such as `*/5 * * * *`; \
             every 90 minutes is `0 */3 * * *` together with `30 1-23/3 * * *`",
        ),
    }
}

/// Returns the text for a length that divides a minute, an hour or a day.
fn text_of_interval(length: Duration) -> Option<String> {
    let step = |count: u64| if count == 1 { "*".to_owned() } else { format!("*/{count}") };
    let divides = |part: u64, whole: u64| part > 0 && part < whole && whole.is_multiple_of(part);
    match length.as_secs() {
        _ if length.subsec_nanos() > 0 => None,
        seconds if divides(seconds, 60) => Some(format!("{} * * * * *", step(seconds))),
        seconds if seconds % 60 == 0 && divides(seconds / 60, 60) => Some(format!("{} * * * *", step(seconds / 60))),
        seconds if seconds % 3600 == 0 && divides(seconds / 3600, 24) => {
            Some(format!("0 {} * * *", step(seconds / 3600)))
        }
        86_400 => Some("0 0 * * *".to_owned()),
        _ => None,
    }
}

impl Field {
    fn read(source: &str, kind: FieldKind) -> Result<Self, Refusal> {
        let mut field = Self { source: source.to_owned(), ..Self::default() };
        if field.is_star() {
            if source == "?" && !matches!(kind.name, "day" | "weekday") {
                return Err(Refusal::of("`?` stands for a day or a weekday alone").instead("*"));
            }
            field.values = (kind.first..=kind.last).map(|value| kind.normalized(value)).collect();
            return Ok(field);
        }
        let items: Vec<_> = source.split(',').collect();
        for (index, item) in items.iter().enumerate() {
            field.add(item, kind).map_err(|refusal| {
                // The advice shows the whole list, with this item replaced.
                let whole = |instead: String| {
                    let mut items = items.clone();
                    items[index] = &instead;
                    items.join(",")
                };
                Refusal { instead: refusal.instead.map(whole), ..refusal }
            })?;
        }
        Ok(field)
    }

    /// Parses the field weekday as `APScheduler` does; `None` if it refuses the field.
    pub(super) fn as_apscheduler(&self) -> Option<Self> {
        const FROM_MONDAY: [&str; 7] = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];
        let kind = FieldKind { names: &FROM_MONDAY, open_steps: true, ..FieldKind::numbers("weekday", 0, 6) };
        let field = Self::read(&self.source, kind).ok().filter(|field| field.marks.is_empty())?;
        Some(Self { values: field.values.iter().map(|value| (value + 1) % 7).collect(), ..field })
    }

    /// Parses the field weekday as Quartz does; `None` if it refuses the field.
    pub(super) fn as_quartz(&self) -> Option<Self> {
        Self::read(&self.source, FieldKind::QUARTZ_WEEKDAY).ok()
    }

    /// Whether the field is unrestricted. A step, such as `*/2`, restricts.
    pub(super) fn is_star(&self) -> bool {
        self.source == "*" || self.source == "?"
    }

    fn add(&mut self, item: &str, kind: FieldKind) -> Result<(), Refusal> {
        if item.is_empty() {
            return Err(Refusal::of("a list has an empty item"));
        }
        if kind.name == "day" && self.add_day_mark(item, kind)? {
            return Ok(());
        }
        if kind.is_weekday() && self.add_weekday_mark(item, kind)? {
            return Ok(());
        }
        let values = values(item, kind)?;
        self.values.extend(values.into_iter().map(|value| kind.normalized(value)));
        Ok(())
    }

    fn add_day_mark(&mut self, item: &str, kind: FieldKind) -> Result<bool, Refusal> {
        let mark = match item {
            "L" => Mark::LastDay,
            "LW" => Mark::LastWorkday,
            _ if item.starts_with("L-") => {
                let advice = "write `L` for the last day, or a day that every month has";
                return Err(Refusal::of(format!("`{item}`, days before the last one, isn't supported")).advice(advice));
            }
            _ => match item.strip_suffix('W') {
                Some(day) => Mark::Workday(kind.value(day)?),
                None => return Ok(false),
            },
        };
        self.marks.push(mark);
        Ok(true)
    }

    fn add_weekday_mark(&mut self, item: &str, kind: FieldKind) -> Result<bool, Refusal> {
        if item == "L" {
            let advice = "`L` is Saturday in Quartz; `FRIL` is the last Friday of the month";
            return Err(Refusal::of("`L` alone isn't a weekday").instead("SAT").advice(advice));
        }
        let (days, number) = match item.split_once('#') {
            Some((days, number)) => (days, number),
            None if item.ends_with('L') => (&item[..item.len() - 1], "L"),
            None => return Ok(false),
        };
        if days.contains(['/', '*']) {
            return Err(Refusal::of(format!("`{item}` isn't a weekday of the month")));
        }
        for day in values(days, kind)? {
            let day = kind.normalized(day);
            self.marks.push(match number.parse() {
                _ if number == "L" => Mark::Last(day),
                Ok(number @ 1..=5) => Mark::Nth(day, number),
                _ => {
                    return Err(Refusal::of(format!(
                        "`{item}`: a month has the weekdays #1 to #5, and L for the last"
                    )));
                }
            });
        }
        Ok(true)
    }
}

/// Returns the values of `*/2`, `1`, `1-5` or `1-5/2`.
fn values(item: &str, kind: FieldKind) -> Result<Vec<u8>, Refusal> {
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(self::step(range, step, kind)?)),
        None => (item, None),
    };
    let (from, to) = match (range.split_once('-'), step) {
        (Some(_), _) => bounds(range, step, kind)?,
        (None, Some(_)) if range == "*" => (kind.first, kind.last),
        (None, Some(step)) => open_bounds(range, step, kind)?,
        (None, None) => {
            let value = kind.value(range)?;
            (value, value)
        }
    };
    Ok((from..=to).step_by(usize::from(step.unwrap_or(1))).collect())
}

fn step(range: &str, step: &str, kind: FieldKind) -> Result<u8, Refusal> {
    let FieldKind { name, size, .. } = kind;
    let count = step.parse::<u64>().map_err(|_| Refusal::of(format!("`/{step}` isn't a step")))?;
    match u8::try_from(count) {
        Ok(0) => Err(Refusal::of("the step `/0` isn't a step; the smallest is `/1`")),
        Ok(count) if count <= size => Ok(count),
        _ => {
            let first = range.split('-').next().filter(|first| kind.value(first).is_ok());
            let first = first.map_or_else(|| kind.first.to_string(), str::to_owned);
            let reason = format!(
                "the step {step} is wider than the {size} values of the field of {name}s, and would give {first} alone"
            );
            let advice = "every 90 minutes is `0 */3 * * *` together with `30 1-23/3 * * *`";
            Err(Refusal::of(reason)
                .instead(first)
                .advice(format!("or, for a longer interval, several triggers: {advice}")))
        }
    }
}

/// Returns the bounds of a step without a range: `5/15` and `/15`.
fn open_bounds(range: &str, step: u8, kind: FieldKind) -> Result<(u8, u8), Refusal> {
    if range.is_empty() {
        let refusal = Refusal::of(format!("the step `/{step}` has no range")).instead(format!("*/{step}"));
        return if kind.open_steps { Ok((kind.first, kind.last)) } else { Err(refusal) };
    }
    let from = kind.value(range)?;
    // Sunday is 0 and 7; it mustn't count twice.
    let last = if kind.is_weekday() && kind.first == 0 { 6 } else { kind.last };
    if kind.open_steps {
        return Ok((from, last));
    }
    let reason = format!("`{range}/{step}` has a start and no end; some systems go on to {last}, others refuse it");
    Err(Refusal::of(reason).instead(format!("{range}-{last}/{step}")))
}

fn bounds(range: &str, step: Option<u8>, kind: FieldKind) -> Result<(u8, u8), Refusal> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let from = kind.value(first)?;
    // The Sunday at the end of `FRI-SUN` is 7.
    let to = if kind.first == 0 && last == "SUN" { kind.last } else { kind.value(last)? };
    if from <= to {
        return Ok((from, to));
    }
    let by_name = first.bytes().any(|byte| byte.is_ascii_alphabetic());
    let reason = format!("the range `{range}` passes the end of the field; Celery goes on, Debian's cron never fires");
    Err(Refusal::of(reason).instead(unwrapped(from, to, step, by_name, kind)))
}

/// Writes a range that passes the end of its field as a list.
fn unwrapped(from: u8, to: u8, step: Option<u8>, by_name: bool, kind: FieldKind) -> String {
    let (first, size) = (kind.first, kind.size);
    let end = first + size - 1;
    let spelled = |value: u8| kind.spelled(value, by_name);
    if let Some(step) = step {
        let values = (from..=to + size).step_by(usize::from(step));
        let values = values.map(|value| spelled(if value > end { value - size } else { value }));
        return values.collect::<Vec<_>>().join(",");
    }
    let range = |from: u8, to: u8| match to.checked_sub(from) {
        None => None,
        Some(0) => Some(spelled(from)),
        Some(_) => Some(format!("{}-{}", spelled(from), spelled(to))),
    };
    [range(from, end), range(first, to)].into_iter().flatten().collect::<Vec<_>>().join(",")
}
