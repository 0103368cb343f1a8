//! The chosen meaning of a cron text that systems read differently.

use std::fmt;

use serde::Serialize;

/// The chosen meaning of a cron text that systems read differently.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CronDialect {
    /// The days on which a text fires that restricts both day fields. `None` means [`DayMatch::Either`], with a
    /// warning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<DayMatch>,
    /// Whether the text is written for Quartz: weekdays count from 1, Sunday, to 7, and `5/15` means `5-59/15`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub quartz: bool,
}

/// The days on which a text fires that restricts both the field day and the field weekday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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

/// Writes the options that change when a schedule fires, each after a space. [`DayMatch::Either`] isn't written,
/// because it is the default.
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
