//! A trigger as data: the part of it that a store keeps and lists show.

use std::fmt;
use std::time::Duration;

use pynenc_core::packed::{pack, unpack};
use pynenc_core::{Error, Result, Status, TaskId};
use pynenc_engine::EncodedCall;
use serde::Serialize;
use serde_json::Value;

use crate::schedule::{CronDialect, DayMatch, Misfire, Schedule};

/// The conditions of a trigger and its call, as data.
///
/// It is stored in a compact form; serde only writes it, for people to read.
///
/// Its `Display` form shows the conditions: `all(event a, success of b) within 1h`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TriggerSpec {
    /// The single conditions. [`shape`](Self::shape) refers to them by their index.
    pub conditions: Vec<ConditionSpec>,
    /// How the conditions combine.
    pub shape: ConditionTree,
    /// The call.
    pub target: Target,
}

/// How the conditions of a trigger combine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize)]
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
        #[serde(skip_serializing_if = "CronDialect::is_default")]
        dialect: CronDialect,
    },
    /// Met by each event of a name.
    Event {
        /// The name of the event.
        name: String,
        /// The key that the event has to have; `None` for any key.
        key: Option<String>,
        /// The pattern that the payload has to match.
        #[serde(skip_serializing_if = "Option::is_none")]
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
        #[serde(skip_serializing_if = "Option::is_none")]
        arguments: Option<Value>,
        /// The pattern that the result has to match.
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<Value>,
    },
}

/// The call of a trigger.
#[derive(Debug, Clone, PartialEq, Serialize)]
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

    pub(crate) fn encode(&self) -> Vec<u8> {
        pack(self)
    }

    pub(crate) fn decode(spec: &[u8]) -> Result<Self> {
        let unreadable = |error| Error::corrupt("can't decode the trigger").caused_by(error);
        let spec: Self = unpack(spec).map_err(unreadable)?;
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
            assert_eq!(TriggerSpec::decode(&spec.encode()).unwrap(), spec);
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

    fn check_stored(dialect: CronDialect, shown: &str) {
        let condition = cron(dialect);
        assert_eq!(condition.to_string(), shown);
        let spec = TriggerSpec { conditions: vec![condition], ..spec() };
        assert_eq!(TriggerSpec::decode(&spec.encode()).unwrap(), spec);
    }

    #[test]
    fn the_options_of_a_schedule_survive_storing() {
        check_stored(CronDialect::default(), "cron 0 0 13 * FRI UTC");
        let days = |days| CronDialect { days: Some(days), quartz: false };
        check_stored(days(DayMatch::Both), "cron 0 0 13 * FRI UTC both_days");
        check_stored(days(DayMatch::Either), "cron 0 0 13 * FRI UTC");
        check_stored(CronDialect { days: None, quartz: true }, "cron 0 0 13 * FRI UTC quartz");
        let either = TriggerSpec { conditions: vec![cron(days(DayMatch::Either))], ..spec() };
        assert_eq!(either.without_default_options(), spec());
    }

    #[test]
    fn every_part_of_a_trigger_survives_storing() {
        let event = |key: Option<&str>, matching| ConditionSpec::Event {
            name: "paid".to_owned(),
            key: key.map(str::to_owned),
            matching,
        };
        let pattern = serde_json::json!({"role": ["admin", 1.5, null]});
        let within = Duration::from_millis(1500);
        let misfire = Misfire::All(within);
        let (expression, timezone) = ("@daily".to_owned(), "Europe/Madrid".to_owned());
        let spec = TriggerSpec {
            conditions: vec![
                event(None, None),
                event(Some(""), Some(pattern)),
                ConditionSpec::Cron { expression, timezone, misfire, dialect: CronDialect::default() },
            ],
            shape: ConditionTree::All {
                of: vec![
                    ConditionTree::Leaf(0),
                    ConditionTree::Any(vec![ConditionTree::Leaf(1), ConditionTree::Leaf(2)]),
                ],
                within,
            },
            target: Target::Made("app::report".into()),
        };
        assert_eq!(TriggerSpec::decode(&spec.encode()).unwrap(), spec);
    }

    #[test]
    fn a_corrupt_trigger_is_refused() {
        let stored = spec().encode();
        for length in 0..stored.len() {
            let error = TriggerSpec::decode(&stored[..length]).unwrap_err();
            assert_eq!(error.kind(), pynenc_core::ErrorKind::Corrupt, "{error}");
        }
        let outside = TriggerSpec { shape: ConditionTree::Leaf(1), ..spec() };
        assert!(TriggerSpec::decode(&outside.encode()).unwrap_err().to_string().contains("isn't in its list"));
        let deep = (0..1000).fold(ConditionTree::Leaf(0), |tree, _| ConditionTree::Any(vec![tree]));
        let deep = TriggerSpec { shape: deep, ..spec() };
        assert!(TriggerSpec::decode(&deep.encode()).is_err());
    }
}
