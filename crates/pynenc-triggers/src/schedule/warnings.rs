//! Warnings about cron texts that other systems read differently, for schedules that don't choose a meaning.

use super::description;
use super::dialect::CronDialect;
use super::text::{CronText, Field, WEEKDAYS};
use super::values::Values;

/// Returns the warnings about a text.
pub(super) fn warnings(text: &CronText, dialect: CronDialect) -> Vec<String> {
    let weekdays = if dialect.quartz { None } else { weekday_numbers(text) };
    [days(text), weekdays].into_iter().flatten().collect()
}

fn days(text: &CronText) -> Option<String> {
    let is_every = |field: &Field, size: usize| field.values.len() == size;
    let is_every_day = is_every(&text.days, 31) && is_every(&text.weekdays, 7);
    if text.day_match.is_some() || !text.restricts_both() || is_every_day {
        return None;
    }
    Some(format!(
        "`{}` fires on days that fit either day field: {}. {}. Call `.either_day()` or `.both_days()` to choose",
        text.expression,
        description::either_day(text),
        days_elsewhere(text),
    ))
}

/// Describes the days that other systems choose for a text that restricts both day fields.
fn days_elsewhere(text: &CronText) -> &'static str {
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

fn weekday_numbers(text: &CronText) -> Option<String> {
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
        description::weekdays(field, "and"),
        description::weekdays(&other, "and"),
        with_names(&text.expression, field),
    ))
}

/// Replaces the numbers of weekdays with names.
fn with_names(expression: &str, field: &Field) -> String {
    let named: Vec<_> = field.source.split(',').map(|item| named(item, field)).collect();
    let (head, last) = expression.trim_end().rsplit_once(char::is_whitespace).unwrap_or_default();
    let sign = if last.starts_with('+') { "+" } else { "" };
    format!("{head} {sign}{}", named.join(","))
}

fn named(item: &str, field: &Field) -> String {
    let (days, rest) = item.split_at(item.find(['/', '#', 'L']).unwrap_or(item.len()));
    if days == "*" {
        return names(field.values);
    }
    let name = |day: &str| match day.parse::<usize>() {
        Ok(day) => WEEKDAYS[day % 7].to_owned(),
        Err(_) => day.to_owned(),
    };
    format!("{}{rest}", days.split('-').map(name).collect::<Vec<_>>().join("-"))
}

fn names(days: Values) -> String {
    days.iter().map(|day| WEEKDAYS[usize::from(day) % 7]).collect::<Vec<_>>().join(",")
}
