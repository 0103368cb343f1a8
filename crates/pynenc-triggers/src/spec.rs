//! A trigger as data: what a store keeps of it, and what people are shown.

use std::fmt;
use std::time::Duration;

use pynenc_core::{Error, Result, Status, TaskId};
use pynenc_engine::EncodedCall;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::schedule::{CronDialect, DayMatch, Misfire, Schedule};

/// What a trigger waits for, and what it calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Its conditions, by their numbers.
    pub conditions: Vec<Leaf>,
    /// How they go together.
    pub shape: Node,
    /// What it calls.
    pub target: Target,
}

/// How conditions go together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Node {
    /// One condition, by its number.
    Leaf(u32),
    /// Each of them, no further apart than `within`.
    All {
        /// The parts.
        of: Vec<Node>,
        /// The longest time between the first and the last of them.
        within: Duration,
    },
    /// One of them.
    Any(Vec<Node>),
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leaf {
    /// Points in time.
    Cron {
        /// The cron text, of five or six fields.
        expression: String,
        /// The name of its time zone.
        timezone: String,
        /// What becomes of slots that nobody was there for.
        misfire: Misfire,
        /// The chosen meaning of a text that systems read differently.
        #[serde(default, skip_serializing_if = "CronDialect::is_default")]
        dialect: CronDialect,
    },
    /// Events of the log.
    Event {
        /// Their name.
        name: String,
        /// What their key is, where that matters.
        key: Option<String>,
        /// What their payload has in it.
        #[serde(default, deserialize_with = "pattern", skip_serializing_if = "Option::is_none")]
        matching: Option<Value>,
    },
    /// Ends of a task's invocations.
    Ended {
        /// The task.
        task: TaskId,
        /// The final statuses.
        statuses: Vec<Status>,
        /// The kinds of errors; none is all.
        kinds: Vec<String>,
        /// What the arguments have in them.
        #[serde(default, deserialize_with = "pattern", skip_serializing_if = "Option::is_none")]
        arguments: Option<Value>,
        /// What the result has in it.
        #[serde(default, deserialize_with = "pattern", skip_serializing_if = "Option::is_none")]
        result: Option<Value>,
    },
}

/// Reads a pattern that is there. `null` is a pattern, too: no pattern isn't written at all.
fn pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// What a trigger calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The same call each time.
    Fixed(Box<EncodedCall>),
    /// A call that the program makes of what happened.
    Made(TaskId),
}

impl Target {
    /// The task that is called.
    pub fn task(&self) -> &TaskId {
        match self {
            Self::Fixed(call) => call.task(),
            Self::Made(task) => task,
        }
    }
}

impl Spec {
    /// Whether each occurrence fires by itself, because no other has to come.
    pub(crate) fn is_simple(&self) -> bool {
        self.shape.is_simple()
    }

    /// The warnings about its cron texts.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.conditions.iter().flat_map(Leaf::warnings).collect()
    }

    /// The same trigger without the option "either", which is the default: calling `.either_day()` keeps a derived id.
    pub(crate) fn bare(mut self) -> Self {
        for leaf in &mut self.conditions {
            if let Leaf::Cron { dialect, .. } = leaf {
                dialect.days = dialect.days.filter(|days| *days == DayMatch::Both);
            }
        }
        self
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| Error::invalid("the trigger can't be written down").caused_by(error))
    }

    pub(crate) fn decode(spec: &[u8]) -> Result<Self> {
        let unreadable = |error| Error::corrupt("the trigger can't be read").caused_by(error);
        let spec: Self = serde_json::from_slice(spec).map_err(unreadable)?;
        let known = 0..spec.conditions.len() as u32;
        if spec.shape.leaves().iter().all(|leaf| known.contains(leaf)) {
            Ok(spec)
        } else {
            Err(Error::corrupt("the trigger names a condition that it doesn't have"))
        }
    }
}

impl Leaf {
    /// The warnings about the cron text.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let Self::Cron { expression, timezone, dialect, .. } = self else { return Vec::new() };
        match Schedule::parse(expression, timezone, *dialect) {
            Ok(schedule) => schedule.warnings(),
            // A store may hold a text that this program doesn't read.
            Err(error) => vec![error.to_string()],
        }
    }
}

impl Node {
    fn is_simple(&self) -> bool {
        match self {
            Self::Leaf(_) => true,
            Self::All { .. } => false,
            Self::Any(of) => of.iter().all(Self::is_simple),
        }
    }

    /// The numbers of the conditions below it.
    pub(crate) fn leaves(&self) -> Vec<u32> {
        match self {
            Self::Leaf(leaf) => vec![*leaf],
            Self::All { of, .. } | Self::Any(of) => of.iter().flat_map(Self::leaves).collect(),
        }
    }

    /// The longest time between two occurrences that fire together.
    pub(crate) fn window(&self) -> Duration {
        match self {
            Self::Leaf(_) => Duration::ZERO,
            Self::All { within, .. } => *within,
            Self::Any(of) => of.iter().map(Self::window).max().unwrap_or_default(),
        }
    }

    fn show(&self, conditions: &[Leaf], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, of) = match self {
            Self::Leaf(leaf) => return conditions.get(*leaf as usize).map_or(Ok(()), |leaf| write!(f, "{leaf}")),
            Self::All { of, .. } => ("all", of),
            Self::Any(of) => ("any", of),
        };
        write!(f, "{word}(")?;
        for (place, node) in of.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { ", " })?;
            node.show(conditions, f)?;
        }
        match self {
            Self::All { within, .. } => write!(f, ") within {}", humantime::format_duration(*within)),
            Self::Leaf(_) | Self::Any(_) => f.write_str(")"),
        }
    }
}

/// The conditions, for people: `all(event a, success of b) within 1h`.
impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shape.show(&self.conditions, f)
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron { expression, timezone, dialect, .. } => write!(f, "cron {expression} {timezone}{dialect}"),
            Self::Event { name, key: Some(key), .. } => write!(f, "event {name} of {key}"),
            Self::Event { name, key: None, .. } => write!(f, "event {name}"),
            Self::Ended { task, statuses, .. } => {
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
    fn a_pattern_of_null_is_kept() {
        for result in [None, Some(Value::Null), Some(Value::from(1))] {
            let ended = Leaf::Ended { task: "t".into(), statuses: vec![], kinds: vec![], arguments: None, result };
            let spec = Spec { conditions: vec![ended], shape: Node::Leaf(0), target: Target::Made("t".into()) };
            assert_eq!(Spec::decode(&spec.encode().unwrap()).unwrap(), spec);
        }
    }

    fn cron(dialect: CronDialect) -> Leaf {
        let (expression, timezone) = ("0 0 13 * FRI".to_owned(), "UTC".to_owned());
        Leaf::Cron { expression, timezone, misfire: Misfire::One, dialect }
    }

    fn spec() -> Spec {
        let target = Target::Made("app::report".into());
        Spec { conditions: vec![cron(CronDialect::default())], shape: Node::Leaf(0), target }
    }

    fn check_stored(dialect: CronDialect, stored: &str, shown: &str) {
        let leaf = cron(dialect);
        assert_eq!(serde_json::to_string(&leaf).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Leaf>(stored).unwrap(), leaf);
        assert_eq!(leaf.to_string(), shown);
    }

    #[test]
    fn a_schedule_without_options_is_stored_as_before() {
        let plain = r#"{"cron":{"expression":"0 0 13 * FRI","timezone":"UTC","misfire":"one"}}"#;
        check_stored(CronDialect::default(), plain, "cron 0 0 13 * FRI UTC");
        let with = |options: &str| plain.replace("\"one\"", &format!("\"one\",\"dialect\":{options}"));
        let days = |days| CronDialect { days: Some(days), quartz: false };
        check_stored(days(DayMatch::Both), &with(r#"{"days":"both"}"#), "cron 0 0 13 * FRI UTC both_days");
        check_stored(days(DayMatch::Either), &with(r#"{"days":"either"}"#), "cron 0 0 13 * FRI UTC");
        let quartz = CronDialect { days: None, quartz: true };
        let either = Spec { conditions: vec![cron(days(DayMatch::Either))], ..spec() };
        assert_eq!(either.bare(), spec());
        check_stored(quartz, &with(r#"{"quartz":true}"#), "cron 0 0 13 * FRI UTC quartz");
    }
}
