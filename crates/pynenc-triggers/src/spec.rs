//! A trigger as data: the part of it that a store keeps and lists show.

use std::fmt;
use std::time::Duration;

use pynenc_core::{Error, Result, Status, TaskId};
use pynenc_engine::EncodedCall;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::schedule::{CronDialect, DayMatch, Misfire, Schedule};

/// The conditions of a trigger and its call, as data.
///
/// Its `Display` form shows the conditions: `all(event a, success of b) within 1h`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerSpec {
    /// The single conditions. [`shape`](Self::shape) refers to them by their index.
    pub conditions: Vec<ConditionSpec>,
    /// How the conditions combine.
    pub shape: ConditionTree,
    /// The call.
    pub target: Target,
}

/// How the conditions of a trigger combine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConditionTree {
    /// A single condition: its index in [`TriggerSpec::conditions`].
    Leaf(u32),
    /// Each part has to be met, within a time window.
    All {
        /// The parts.
        of: Vec<ConditionTree>,
        /// The longest time between the first and the last occurrence.
        within: Duration,
    },
    /// One of the parts has to be met.
    Any(Vec<ConditionTree>),
}

/// A single condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConditionSpec {
    /// Met by each slot of a cron schedule.
    Cron {
        /// The cron text, of five or six fields.
        expression: String,
        /// The time zone's name in the tz database.
        timezone: String,
        /// The policy for missed slots.
        misfire: Misfire,
        /// The chosen meaning of a text that systems read differently.
        #[serde(default, skip_serializing_if = "CronDialect::is_default")]
        dialect: CronDialect,
    },
    /// Met by each event of a name.
    Event {
        /// The name of the event.
        name: String,
        /// The key that the event has to have; `None` for any key.
        key: Option<String>,
        /// The pattern that the payload has to match.
        #[serde(default, deserialize_with = "pattern", skip_serializing_if = "Option::is_none")]
        matching: Option<Value>,
    },
    /// Met by each completion of a task's invocation.
    #[serde(rename = "ended")]
    Completion {
        /// The task.
        task: TaskId,
        /// The final statuses that count.
        statuses: Vec<Status>,
        /// The kinds of errors that count; an empty list means all.
        kinds: Vec<String>,
        /// The pattern that the arguments have to match.
        #[serde(default, deserialize_with = "pattern", skip_serializing_if = "Option::is_none")]
        arguments: Option<Value>,
        /// The pattern that the result has to match.
        #[serde(default, deserialize_with = "pattern", skip_serializing_if = "Option::is_none")]
        result: Option<Value>,
    },
}

/// Reads a pattern that is present. `null` is a pattern too; a missing pattern isn't written.
fn pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// The call of a trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The same call each time.
    Fixed(Box<EncodedCall>),
    /// A call of this task that the program's code makes from the condition's context.
    Made(TaskId),
}

impl Target {
    /// Returns the task that is called.
    pub fn task(&self) -> &TaskId {
        match self {
            Self::Fixed(call) => call.task(),
            Self::Made(task) => task,
        }
    }
}

impl TriggerSpec {
    /// Whether each observation fires the trigger by itself, because the conditions contain no `all`.
    pub(crate) fn is_simple(&self) -> bool {
        self.shape.is_simple()
    }

    /// Returns the warnings about the cron texts.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.conditions.iter().flat_map(ConditionSpec::warnings).collect()
    }

    /// Removes the option "either", which is the default, so that `.either_day()` doesn't change a derived id.
    pub(crate) fn without_default_options(mut self) -> Self {
        for condition in &mut self.conditions {
            if let ConditionSpec::Cron { dialect, .. } = condition {
                dialect.days = dialect.days.filter(|days| *days == DayMatch::Both);
            }
        }
        self
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| Error::invalid("can't encode the trigger").caused_by(error))
    }

    pub(crate) fn decode(spec: &[u8]) -> Result<Self> {
        let unreadable = |error| Error::corrupt("can't decode the trigger").caused_by(error);
        let spec: Self = serde_json::from_slice(spec).map_err(unreadable)?;
        let known = 0..spec.conditions.len() as u32;
        if spec.shape.leaves().iter().all(|leaf| known.contains(leaf)) {
            Ok(spec)
        } else {
            Err(Error::corrupt("the stored trigger refers to a condition that isn't in its list"))
        }
    }
}

impl ConditionSpec {
    /// Returns the warnings about the cron text.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let Self::Cron { expression, timezone, dialect, .. } = self else { return Vec::new() };
        match Schedule::parse(expression, timezone, *dialect) {
            Ok(schedule) => schedule.warnings(),
            // Another version of the program may have stored a text that this one refuses.
            Err(error) => vec![error.to_string()],
        }
    }
}

impl ConditionTree {
    fn is_simple(&self) -> bool {
        match self {
            Self::Leaf(_) => true,
            Self::All { .. } => false,
            Self::Any(of) => of.iter().all(Self::is_simple),
        }
    }

    /// Returns the indexes of the conditions in this tree.
    pub(crate) fn leaves(&self) -> Vec<u32> {
        match self {
            Self::Leaf(leaf) => vec![*leaf],
            Self::All { of, .. } | Self::Any(of) => of.iter().flat_map(Self::leaves).collect(),
        }
    }

    /// Returns the longest time between two occurrences that fire together.
    pub(crate) fn window(&self) -> Duration {
        match self {
            Self::Leaf(_) => Duration::ZERO,
            Self::All { within, .. } => *within,
            Self::Any(of) => of.iter().map(Self::window).max().unwrap_or_default(),
        }
    }

    fn show(&self, conditions: &[ConditionSpec], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, of) = match self {
            Self::Leaf(leaf) => return conditions.get(*leaf as usize).map_or(Ok(()), |leaf| write!(f, "{leaf}")),
            Self::All { of, .. } => ("all", of),
            Self::Any(of) => ("any", of),
        };
        write!(f, "{word}(")?;
        for (index, node) in of.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            node.show(conditions, f)?;
        }
        match self {
            Self::All { within, .. } => write!(f, ") within {}", humantime::format_duration(*within)),
            Self::Leaf(_) | Self::Any(_) => f.write_str(")"),
        }
    }
}

/// Shows the conditions: `all(event a, success of b) within 1h`.
impl fmt::Display for TriggerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shape.show(&self.conditions, f)
    }
}

impl fmt::Display for ConditionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron { expression, timezone, dialect, .. } => write!(f, "cron {expression} {timezone}{dialect}"),
            Self::Event { name, key: Some(key), .. } => write!(f, "event {name} of {key}"),
            Self::Event { name, key: None, .. } => write!(f, "event {name}"),
            Self::Completion { task, statuses, .. } => {
                let statuses: Vec<_> = statuses.iter().map(|status| status.as_str()).collect();
                write!(f, "{} of {task}", statuses.join(" or "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_pattern_survives_storing() {
        for result in [None, Some(Value::Null), Some(Value::from(1))] {
            let completion = ConditionSpec::Completion {
                task: "t".into(),
                statuses: vec![],
                kinds: vec![],
                arguments: None,
                result,
            };
            let spec = TriggerSpec {
                conditions: vec![completion],
                shape: ConditionTree::Leaf(0),
                target: Target::Made("t".into()),
            };
            assert_eq!(TriggerSpec::decode(&spec.encode().unwrap()).unwrap(), spec);
        }
    }

    fn cron(dialect: CronDialect) -> ConditionSpec {
        let (expression, timezone) = ("0 0 13 * FRI".to_owned(), "UTC".to_owned());
        ConditionSpec::Cron { expression, timezone, misfire: Misfire::One, dialect }
    }

    fn spec() -> TriggerSpec {
        let target = Target::Made("app::report".into());
        TriggerSpec { conditions: vec![cron(CronDialect::default())], shape: ConditionTree::Leaf(0), target }
    }

    fn check_stored(dialect: CronDialect, stored: &str, shown: &str) {
        let condition = cron(dialect);
        assert_eq!(serde_json::to_string(&condition).unwrap(), stored);
        assert_eq!(serde_json::from_str::<ConditionSpec>(stored).unwrap(), condition);
        assert_eq!(condition.to_string(), shown);
    }

    #[test]
    fn a_schedule_is_stored_with_its_chosen_options_alone() {
        let plain = r#"{"cron":{"expression":"0 0 13 * FRI","timezone":"UTC","misfire":"one"}}"#;
        check_stored(CronDialect::default(), plain, "cron 0 0 13 * FRI UTC");
        let with = |options: &str| plain.replace("\"one\"", &format!("\"one\",\"dialect\":{options}"));
        let days = |days| CronDialect { days: Some(days), quartz: false };
        check_stored(days(DayMatch::Both), &with(r#"{"days":"both"}"#), "cron 0 0 13 * FRI UTC both_days");
        check_stored(days(DayMatch::Either), &with(r#"{"days":"either"}"#), "cron 0 0 13 * FRI UTC");
        let quartz = CronDialect { days: None, quartz: true };
        let either = TriggerSpec { conditions: vec![cron(days(DayMatch::Either))], ..spec() };
        assert_eq!(either.without_default_options(), spec());
        check_stored(quartz, &with(r#"{"quartz":true}"#), "cron 0 0 13 * FRI UTC quartz");
    }
}
