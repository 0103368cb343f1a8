//! The choice of a meaning where systems read one cron text differently, and the warnings where no meaning is chosen.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::text::{Field, Text, WEEKDAYS};
use super::words;

/// The chosen meaning of a cron text that systems read differently.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CronDialect {
    /// The days on which a text fires that restricts both day fields. Unset is either, with a warning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<DayMatch>,
    /// Whether the text is written for Quartz: weekdays count from 1, Sunday, to 7, and `5/15` means `5-59/15`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub quartz: bool,
}

/// The days on which a text fires that restricts both the field day and the field weekday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DayMatch {
    /// Days that fit one of the fields.
    Either,
    /// Days that fit both fields.
    Both,
}

impl CronDialect {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Writes the options that change when a schedule fires, each after a space. "Either" isn't written, because it is the
/// default.
impl fmt::Display for CronDialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days == Some(DayMatch::Both) {
            f.write_str(" both_days")?;
        }
        if self.quartz {
            f.write_str(" quartz")?;
        }
        Ok(())
    }
}

/// Warns of a text that other systems read differently.
pub(super) fn warnings(text: &Text, dialect: CronDialect) -> Vec<String> {
    let weekdays = if dialect.quartz { None } else { weekday_numbers(text) };
    [days(text), weekdays].into_iter().flatten().collect()
}

fn days(text: &Text) -> Option<String> {
    let is_every = |field: &Field, size: usize| field.values.len() == size;
    let is_every_day = is_every(&text.days, 31) && is_every(&text.weekdays, 7);
    if text.day_match.is_some() || !text.restricts_both() || is_every_day {
        return None;
    }
    Some(format!(
        "`{}` fires on days that fit either day field: {}. {}. Call `.either_day()` or `.both_days()` to choose",
        text.expression,
        words::either_day(text),
        elsewhere(text),
    ))
}

/// The days that other systems choose for a text that restricts both day fields.
fn elsewhere(text: &Text) -> &'static str {
    let fields = [&text.days, &text.weekdays];
    let has_marks = fields.iter().any(|field| !field.marks.is_empty());
    let has_star = fields.iter().any(|field| field.source.starts_with('*'));
    match (text.count, has_star) {
        _ if has_marks => "Systems differ in whether one field is enough",
        (6, false) => "cronsim fires on the same days; Quartz refuses the text",
        (6, true) => "cronsim fires only on days that fit both; Quartz refuses the text",
        (_, false) => {
            "Debian's cron, croniter and cronsim fire on the same days; \
             Celery and APScheduler fire only on days that fit both"
        }
        (_, true) => {
            "croniter fires on the same days; \
             Celery, APScheduler, cronsim and Debian's cron fire only on days that fit both"
        }
    }
}

fn weekday_numbers(text: &Text) -> Option<String> {
    let field = &text.weekdays;
    // Quartz reads six fields, APScheduler five.
    let (system, other) =
        if text.count == 6 { ("Quartz", field.as_quartz()) } else { ("APScheduler", field.as_apscheduler()) };
    let other = other.filter(|other| (&other.values, &other.marks) != (&field.values, &field.marks))?;
    let quartz = if text.count == 6 { ", or call `.quartz()`" } else { "" };
    Some(format!(
        "`{}`: weekday `{}` is {} here, where Sunday is 0 as in crontab(5), and {} in {system}. Write `{}`{quartz}",
        text.expression,
        field.source,
        words::weekdays(field, "and"),
        words::weekdays(&other, "and"),
        with_names(&text.expression, field),
    ))
}

/// The text with names for the numbers of weekdays.
fn with_names(expression: &str, field: &Field) -> String {
    let named: Vec<_> = field.source.split(',').map(|item| named(item, field)).collect();
    let (head, last) = expression.trim_end().rsplit_once(char::is_whitespace).unwrap_or_default();
    let sign = if last.starts_with('+') { "+" } else { "" };
    format!("{head} {sign}{}", named.join(","))
}

fn named(item: &str, field: &Field) -> String {
    let (days, rest) = item.split_at(item.find(['/', '#', 'L']).unwrap_or(item.len()));
    if days == "*" {
        return names(&field.values);
    }
    let name = |day: &str| match day.parse::<usize>() {
        Ok(day) => WEEKDAYS[day % 7].to_owned(),
        Err(_) => day.to_owned(),
    };
    format!("{}{rest}", days.split('-').map(name).collect::<Vec<_>>().join("-"))
}

fn names(days: &BTreeSet<u8>) -> String {
    days.iter().map(|day| WEEKDAYS[usize::from(*day) % 7]).collect::<Vec<_>>().join(",")
}
