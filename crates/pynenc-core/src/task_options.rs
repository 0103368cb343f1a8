//! The options of one task: how it is queued, repeated, limited and cached.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::{duration, report};
use crate::error::{Error, Result};
use crate::record::Priority;

/// The options of one task, from all layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskOptions {
    /// The queue it waits in.
    pub queue: String,
    /// 0 to 9; a higher one is taken first.
    #[serde(deserialize_with = "priority")]
    pub priority: u8,
    /// How often it is repeated after a failure.
    pub max_retries: u32,
    /// The wait before each repeat.
    pub backoff: Backoff,
    /// How long one run may take.
    #[serde(with = "duration::option")]
    pub timeout: Option<Duration>,
    /// Which of its invocations can't wait together.
    pub registration_concurrency: Concurrency,
    /// Which of its invocations can't run together, beyond the limit.
    pub running_concurrency: Concurrency,
    /// How many of those that `running_concurrency` sees as one may run at once.
    #[serde(deserialize_with = "limit")]
    pub running_limit: u32,
    /// Whether one that may not run yet is queued again; else it ends.
    pub reroute_on_concurrency_control: bool,
    /// Whether one that waits already and differs in other arguments than the keys is an error.
    pub on_diff_non_key_args_raise: bool,
    /// Arguments that are never cached; `*` is all.
    pub disable_cache_args: Vec<String>,
    /// Whether each invocation founds a workflow.
    pub force_new_workflow: bool,
    /// What becomes of a run whose runner can't prove that it still owns it.
    pub fence: Fence,
}

impl Default for TaskOptions {
    fn default() -> Self {
        Self {
            queue: "default".into(),
            priority: 5,
            max_retries: 0,
            backoff: Backoff::default(),
            timeout: None,
            registration_concurrency: Concurrency::Disabled,
            running_concurrency: Concurrency::Disabled,
            running_limit: 1,
            reroute_on_concurrency_control: false,
            on_diff_non_key_args_raise: false,
            disable_cache_args: Vec::new(),
            force_new_workflow: false,
            fence: Fence::Run,
        }
    }
}

impl TaskOptions {
    /// Takes over what `patch` sets.
    pub fn apply(&mut self, patch: &TaskPatch) {
        put(&mut self.queue, patch.queue.as_deref());
        put(&mut self.priority, patch.priority);
        put(&mut self.max_retries, patch.max_retries);
        put(&mut self.backoff, patch.backoff.clone());
        put(&mut self.timeout, patch.timeout.map(Some));
        put(&mut self.registration_concurrency, patch.registration_concurrency.as_ref());
        put(&mut self.running_concurrency, patch.running_concurrency.as_ref());
        put(&mut self.running_limit, patch.running_limit);
        put(&mut self.reroute_on_concurrency_control, patch.reroute_on_concurrency_control);
        put(&mut self.on_diff_non_key_args_raise, patch.on_diff_non_key_args_raise);
        put(&mut self.disable_cache_args, patch.disable_cache_args.as_ref().map(owned));
        put(&mut self.force_new_workflow, patch.force_new_workflow);
        put(&mut self.fence, patch.fence);
    }

    /// Checks ranges, and that each argument the options name is one of the task's.
    ///
    /// # Errors
    ///
    /// Names the task, the option, and for an argument the nearest one.
    pub fn validate(&self, task_id: &str, argument_names: &[&str]) -> Result<()> {
        let refuse = |option, rule: &str| Err(refused(task_id, option, rule));
        if self.queue.is_empty() {
            return refuse("queue", "must not be empty");
        }
        if self.priority > Priority::HIGHEST {
            return refuse("priority", &format!("must be 0 to {}", Priority::HIGHEST));
        }
        if self.running_limit == 0 {
            return refuse("running_limit", "must be at least 1");
        }
        self.backoff.validate().or_else(|rule| refuse("backoff", &rule))?;
        let cached = self.disable_cache_args.iter().filter(|name| *name != "*");
        arguments(cached, argument_names).or_else(|rule| refuse("disable_cache_args", &rule))?;
        arguments(self.registration_concurrency.keys(), argument_names)
            .or_else(|rule| refuse("registration_concurrency", &rule))?;
        arguments(self.running_concurrency.keys(), argument_names).or_else(|rule| refuse("running_concurrency", &rule))
    }
}

/// Names that may stand in a constant.
pub type Names = Cow<'static, [Cow<'static, str>]>;

/// The options that an attribute or a call sets; what is none is left as it is.
///
/// ```
/// use pynenc_core::task_options::TaskPatch;
///
/// const PATCH: TaskPatch = TaskPatch { max_retries: Some(3), ..TaskPatch::NONE };
/// assert_eq!(PATCH.priority, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskPatch {
    /// See [`TaskOptions::queue`].
    pub queue: Option<Cow<'static, str>>,
    /// See [`TaskOptions::priority`].
    pub priority: Option<u8>,
    /// See [`TaskOptions::max_retries`].
    pub max_retries: Option<u32>,
    /// See [`TaskOptions::backoff`].
    pub backoff: Option<Backoff>,
    /// See [`TaskOptions::timeout`].
    pub timeout: Option<Duration>,
    /// See [`TaskOptions::registration_concurrency`].
    pub registration_concurrency: Option<Concurrency<Names>>,
    /// See [`TaskOptions::running_concurrency`].
    pub running_concurrency: Option<Concurrency<Names>>,
    /// See [`TaskOptions::running_limit`].
    pub running_limit: Option<u32>,
    /// See [`TaskOptions::reroute_on_concurrency_control`].
    pub reroute_on_concurrency_control: Option<bool>,
    /// See [`TaskOptions::on_diff_non_key_args_raise`].
    pub on_diff_non_key_args_raise: Option<bool>,
    /// See [`TaskOptions::disable_cache_args`].
    pub disable_cache_args: Option<Names>,
    /// See [`TaskOptions::force_new_workflow`].
    pub force_new_workflow: Option<bool>,
    /// See [`TaskOptions::fence`].
    pub fence: Option<Fence>,
}

impl TaskPatch {
    /// Sets nothing.
    pub const NONE: Self = Self {
        queue: None,
        priority: None,
        max_retries: None,
        backoff: None,
        timeout: None,
        registration_concurrency: None,
        running_concurrency: None,
        running_limit: None,
        reroute_on_concurrency_control: None,
        on_diff_non_key_args_raise: None,
        disable_cache_args: None,
        force_new_workflow: None,
        fence: None,
    };
}

/// What becomes of a run whose runner can't prove that it still owns it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fence {
    /// It runs on; its outcome counts only if nobody else has taken over.
    #[default]
    Run,
    /// It is cancelled at once.
    Cancel,
}

/// Which invocations of a task count as one for a limit.
///
/// As text: `disabled`, `task`, `arguments`, `keys(a, b)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Concurrency<N = Vec<String>> {
    /// There is no limit.
    #[default]
    Disabled,
    /// All invocations of the task.
    Task,
    /// Those with the same arguments.
    Arguments,
    /// Those with the same values of these arguments.
    Keys(N),
}

impl Concurrency {
    /// The arguments it names.
    pub fn keys(&self) -> &[String] {
        match self {
            Self::Keys(keys) => keys,
            Self::Disabled | Self::Task | Self::Arguments => &[],
        }
    }
}

impl From<&Concurrency<Names>> for Concurrency {
    fn from(concurrency: &Concurrency<Names>) -> Self {
        match concurrency {
            Concurrency::Disabled => Self::Disabled,
            Concurrency::Task => Self::Task,
            Concurrency::Arguments => Self::Arguments,
            Concurrency::Keys(keys) => Self::Keys(owned(keys)),
        }
    }
}

impl fmt::Display for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("disabled"),
            Self::Task => f.write_str("task"),
            Self::Arguments => f.write_str("arguments"),
            Self::Keys(keys) => write!(f, "keys({})", keys.join(", ")),
        }
    }
}

impl FromStr for Concurrency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (call(text), text.trim().to_ascii_lowercase().as_str()) {
            (_, "disabled") => Ok(Self::Disabled),
            (_, "task") => Ok(Self::Task),
            (_, "arguments") => Ok(Self::Arguments),
            (Some((name, keys)), _) if name == "keys" => Self::of(keys.into_iter().map(str::to_owned).collect()),
            _ => Err(format!("`{text}` isn't disabled, task, arguments or keys(a, b)")),
        }
    }
}

impl Concurrency {
    fn of(keys: Vec<String>) -> Result<Self, String> {
        if keys.is_empty() || keys.iter().any(String::is_empty) {
            return Err("keys(..) must name arguments".into());
        }
        Ok(Self::Keys(keys))
    }
}

impl Serialize for Concurrency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Concurrency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = match ConcurrencyForm::deserialize(deserializer)? {
            ConcurrencyForm::Text(text) => text.parse(),
            ConcurrencyForm::Table { keys } => Self::of(keys),
        };
        read.map_err(serde::de::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected \"disabled\", \"task\", \"arguments\", \"keys(a, b)\" or { keys = [\"a\"] }")]
enum ConcurrencyForm {
    Text(String),
    Table { keys: Vec<String> },
}

/// The wait before each repeat of a failed invocation.
///
/// As text: `none`, `constant(5s)`, `exponential`, `exponential(1s, 2, 5m)`, and `no_jitter` as the last of an exponential's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Backoff {
    /// Each wait is a multiple of the one before.
    Exponential {
        /// The first wait.
        base: Duration,
        /// What a wait is multiplied by for the next.
        factor: f64,
        /// The longest wait.
        max: Duration,
        /// Whether each wait is shortened at random, to no less than half.
        jitter: bool,
    },
    /// Each wait is the same.
    Constant(Duration),
    /// There is no wait.
    None,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::Exponential { base: Duration::from_secs(1), factor: 2.0, max: Duration::from_secs(300), jitter: true }
    }
}

impl Backoff {
    /// The wait before the repeat number `retry`, from 1 on; `random` is from 0 to 1 and only jitter reads it.
    pub fn delay(&self, retry: u32, random: f64) -> Duration {
        match *self {
            Self::None => Duration::ZERO,
            Self::Constant(wait) => wait,
            Self::Exponential { base, .. } if base.is_zero() => Duration::ZERO,
            Self::Exponential { base, factor, max, jitter } => {
                let steps = f64::from(retry.saturating_sub(1));
                let seconds = (base.as_secs_f64() * factor.powf(steps)).min(max.as_secs_f64());
                let share = if jitter { 0.5 + 0.5 * random.clamp(0.0, 1.0) } else { 1.0 };
                Duration::try_from_secs_f64(seconds * share).unwrap_or(max).min(max)
            }
        }
    }

    fn validate(&self) -> Result<(), String> {
        match self {
            Self::Exponential { factor, .. } if !factor.is_finite() || *factor < 1.0 => {
                Err("must have a factor of at least 1".into())
            }
            _ => Ok(()),
        }
    }

    fn exponential(parts: &[&str]) -> Option<Self> {
        let (parts, jitter) = match parts.split_last() {
            Some((last, rest)) if last.eq_ignore_ascii_case("no_jitter") => (rest, false),
            _ => (parts, true),
        };
        let wait = |at: usize, or: u64| parts.get(at).map_or(Ok(Duration::from_secs(or)), |text| duration::parse(text));
        let factor = parts.get(1).map_or(Ok(2.0), |text| text.parse());
        let backoff =
            Self::Exponential { base: wait(0, 1).ok()?, factor: factor.ok()?, max: wait(2, 300).ok()?, jitter };
        (parts.len() <= 3).then_some(backoff)
    }
}

impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |wait: &Duration| humantime::format_duration(*wait).to_string();
        match self {
            Self::None => f.write_str("none"),
            Self::Constant(wait) => write!(f, "constant({})", shown(wait)),
            Self::Exponential { base, factor, max, jitter } => {
                let jitter = if *jitter { "" } else { ", no_jitter" };
                write!(f, "exponential({}, {factor}, {}{jitter})", shown(base), shown(max))
            }
        }
    }
}

impl FromStr for Backoff {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, parts) = call(text).unwrap_or_else(|| (text.trim().to_ascii_lowercase(), Vec::new()));
        let read = match (name.as_str(), parts.as_slice()) {
            ("none", []) => Some(Self::None),
            ("constant", [wait]) => duration::parse(wait).ok().map(Self::Constant),
            ("exponential", parts) => Self::exponential(parts),
            _ => None,
        };
        let backoff = read.ok_or_else(|| {
            format!("`{text}` isn't none, constant(5s), exponential, exponential(1s, 2, 5m) or exponential(1s, 2, 5m, no_jitter)")
        })?;
        backoff.validate().map(|()| backoff)
    }
}

impl TryFrom<String> for Backoff {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Backoff> for String {
    fn from(backoff: Backoff) -> Self {
        backoff.to_string()
    }
}

/// Takes `name(a, b)` apart.
fn call(text: &str) -> Option<(String, Vec<&str>)> {
    let (name, rest) = text.trim().split_once('(')?;
    let inside = rest.strip_suffix(')')?.trim();
    let parts = if inside.is_empty() { Vec::new() } else { inside.split(',').map(str::trim).collect() };
    Some((name.trim().to_ascii_lowercase(), parts))
}

fn put<T, U: Into<T>>(option: &mut T, value: Option<U>) {
    if let Some(value) = value {
        *option = value.into();
    }
}

fn owned(names: &Names) -> Vec<String> {
    names.iter().map(|name| name.clone().into_owned()).collect()
}

/// Says which of `names` is no argument.
fn arguments<'a>(names: impl IntoIterator<Item = &'a String>, known: &[&str]) -> Result<(), String> {
    match names.into_iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => {
            Err(format!("names `{name}`, which is no argument; {}", report::advice(name, known.iter().copied())))
        }
        None => Ok(()),
    }
}

fn refused(task_id: &str, option: &str, rule: &str) -> Error {
    Error::config(format!("the option `{option}` {rule}")).with("task", task_id)
}

fn priority<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let priority = u8::deserialize(deserializer)?;
    if priority <= Priority::HIGHEST {
        Ok(priority)
    } else {
        Err(out_of_range(priority.into(), "a whole number from 0 to 9"))
    }
}

fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let limit = u32::deserialize(deserializer)?;
    if limit > 0 { Ok(limit) } else { Err(out_of_range(limit.into(), "a whole number from 1 on")) }
}

fn out_of_range<E: serde::de::Error>(found: u64, expected: &str) -> E {
    E::invalid_value(serde::de::Unexpected::Unsigned(found), &expected)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATCH: TaskPatch = TaskPatch {
        queue: Some(Cow::Borrowed("gpu")),
        backoff: Some(Backoff::Constant(Duration::from_secs(5))),
        running_concurrency: Some(Concurrency::Keys(Cow::Borrowed(&[Cow::Borrowed("account")]))),
        disable_cache_args: Some(Cow::Borrowed(&[Cow::Borrowed("*")])),
        timeout: Some(Duration::from_secs(1)),
        ..TaskPatch::NONE
    };

    #[test]
    fn a_patch_in_a_constant_sets_what_it_names() {
        let mut options = TaskOptions::default();
        options.apply(&PATCH);
        let expected = TaskOptions {
            queue: "gpu".into(),
            backoff: Backoff::Constant(Duration::from_secs(5)),
            running_concurrency: Concurrency::Keys(vec!["account".into()]),
            disable_cache_args: vec!["*".into()],
            timeout: Some(Duration::from_secs(1)),
            ..TaskOptions::default()
        };
        assert_eq!(options, expected);
        let json = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<TaskOptions>(&json).unwrap(), options);
        let packed = rmp_serde::to_vec_named(&options).unwrap();
        assert_eq!(rmp_serde::from_slice::<TaskOptions>(&packed).unwrap(), options);
        assert_eq!(TaskPatch::default(), TaskPatch::NONE);
    }

    fn check_valid(change: impl FnOnce(&mut TaskOptions), refused: Option<&str>) {
        let mut options = TaskOptions::default();
        change(&mut options);
        let message = options.validate("jobs::add", &["account", "amount"]).err().map(|error| error.to_string());
        match (message, refused) {
            (None, None) => {}
            (Some(message), Some(part)) => {
                assert!(message.contains(part) && message.contains("jobs::add"), "{message}");
            }
            (message, refused) => panic!("{message:?}, expected {refused:?}"),
        }
    }

    #[test]
    fn options_name_arguments_and_keep_their_ranges() {
        let keys = |key: &str| Concurrency::Keys(vec![key.to_owned()]);
        check_valid(|_| {}, None);
        check_valid(|options| options.running_concurrency = keys("account"), None);
        check_valid(|options| options.disable_cache_args = vec!["*".into(), "amount".into()], None);
        check_valid(|options| options.running_concurrency = keys("acount"), Some("did you mean `account`?"));
        check_valid(
            |options| options.registration_concurrency = keys("x"),
            Some("`registration_concurrency` names `x`"),
        );
        check_valid(|options| options.disable_cache_args = vec!["amonut".into()], Some("did you mean `amount`?"));
        check_valid(|options| options.priority = 10, Some("`priority` must be 0 to 9"));
        check_valid(|options| options.running_limit = 0, Some("`running_limit` must be at least 1"));
        check_valid(|options| options.queue.clear(), Some("`queue` must not be empty"));
    }

    fn check_concurrency(text: &str, expected: Option<&str>) {
        let read = text.parse::<Concurrency>().ok().map(|concurrency| concurrency.to_string());
        assert_eq!(read.as_deref(), expected, "{text}");
    }

    #[test]
    fn reads_concurrency() {
        check_concurrency("disabled", Some("disabled"));
        check_concurrency(" TASK ", Some("task"));
        check_concurrency("arguments", Some("arguments"));
        check_concurrency("keys(a,b )", Some("keys(a, b)"));
        check_concurrency("Keys( a )", Some("keys(a)"));
        for refused in ["", "keys", "keys()", "keys(a", "keys(a,)", "tasks", "task()"] {
            check_concurrency(refused, None);
        }
        let table: Concurrency = serde_json::from_str(r#"{"keys": ["a"]}"#).unwrap();
        assert_eq!(table, Concurrency::Keys(vec!["a".into()]));
    }

    fn check_backoff(text: &str, expected: Option<&str>) {
        let read = text.parse::<Backoff>().ok().map(|backoff| backoff.to_string());
        assert_eq!(read.as_deref(), expected, "{text}");
    }

    #[test]
    fn reads_backoff() {
        check_backoff("None", Some("none"));
        check_backoff("constant(5)", Some("constant(5s)"));
        check_backoff("exponential", Some("exponential(1s, 2, 5m)"));
        check_backoff("exponential(2s)", Some("exponential(2s, 2, 5m)"));
        check_backoff("exponential(100ms, 1.5, 1m, no_jitter)", Some("exponential(100ms, 1.5, 1m, no_jitter)"));
        check_backoff("exponential(no_jitter)", Some("exponential(1s, 2, 5m, no_jitter)"));
        for refused in
            ["", "constant", "constant(x)", "linear(1s)", "exponential(1s, 0.5)", "exponential(1s, NaN)", "none(1)"]
        {
            check_backoff(refused, None);
        }
    }

    #[test]
    fn waits_grow_to_the_longest() {
        let backoff = Backoff::default();
        let waits = [0, 1, 2, 3, 9, 10, u32::MAX].map(|retry| backoff.delay(retry, 1.0).as_secs());
        assert_eq!(waits, [1, 1, 2, 4, 256, 300, 300]);
        assert_eq!(backoff.delay(1, 0.0), Duration::from_millis(500));
        assert_eq!(Backoff::Constant(Duration::from_secs(5)).delay(7, 0.0), Duration::from_secs(5));
        assert_eq!(Backoff::None.delay(7, 1.0), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn no_wait_is_beyond_the_longest(
            base: u64, factor in prop::num::f64::ANY, max: u64, jitter: bool, retry: u32, random in prop::num::f64::ANY,
        ) {
            let max = Duration::from_secs(max);
            let backoff = Backoff::Exponential { base: Duration::from_secs(base), factor, max, jitter };
            prop_assert!(backoff.delay(retry, random) <= max);
        }

        #[test]
        fn jitter_takes_at_most_half(retry in 1_u32..50, random in 0.0..=1.0) {
            let wait = Backoff::default().delay(retry, random);
            let full = Backoff::default().delay(retry, 1.0);
            prop_assert!(wait <= full && wait >= full / 2);
        }

        #[test]
        fn backoff_survives_a_round_trip(base: u32, factor in 1.0..100.0_f64, max: u32, jitter: bool) {
            let secs = |secs: u32| Duration::from_secs(secs.into());
            let backoff = Backoff::Exponential { base: secs(base), factor, max: secs(max), jitter };
            prop_assert_eq!(backoff.to_string().parse::<Backoff>(), Ok(backoff));
        }
    }
}
