//! The options of one task: queue, priority, retries, timeout, concurrency limits and caching.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::config::duration;
use crate::error::{Error, Result};
use crate::record::Priority;

mod argument_names;
mod backoff;
mod call_syntax;
mod concurrency;
mod fence;
mod patch;

pub use argument_names::Names;
pub use backoff::Backoff;
pub use concurrency::Concurrency;
pub use fence::Fence;
pub use patch::TaskPatch;

use argument_names::owned;

/// The options of one task, from all layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskOptions {
    /// The queue of the task's invocations.
    pub queue: String,
    /// The priority in the queue, 0 to 9. Invocations of a higher priority are taken first.
    #[serde(deserialize_with = "priority")]
    pub priority: u8,
    /// How many times a failed invocation is retried.
    pub max_retries: u32,
    /// The wait before each retry.
    pub backoff: Backoff,
    /// The timeout of one attempt.
    #[serde(with = "duration::option")]
    pub timeout: Option<Duration>,
    /// Registration concurrency control: the invocations of which only one may wait.
    pub registration_concurrency: Concurrency,
    /// Running concurrency control: the invocations of which only `running_limit` may run at once.
    pub running_concurrency: Concurrency,
    /// How many invocations with one `running_concurrency` key may run at once.
    #[serde(deserialize_with = "limit")]
    pub running_limit: u32,
    /// Whether an invocation above the running limit is parked. Otherwise it is dropped, unless it has already run.
    pub reroute_on_concurrency_control: bool,
    /// Whether a submit fails if an invocation with the same key, but otherwise different arguments, already waits.
    pub on_diff_non_key_args_raise: bool,
    /// The arguments that are never cached; `*` stands for all.
    pub disable_cache_args: Vec<String>,
    /// Whether each invocation starts a workflow.
    pub force_new_workflow: bool,
    /// The treatment of an attempt whose runner can't prove that it still owns the invocation.
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
    /// Applies the options that `patch` sets.
    pub fn apply(&mut self, patch: &TaskPatch) {
        set(&mut self.queue, patch.queue.as_deref());
        set(&mut self.priority, patch.priority);
        set(&mut self.max_retries, patch.max_retries);
        set(&mut self.backoff, patch.backoff.clone());
        set(&mut self.timeout, patch.timeout.map(Some));
        set(&mut self.registration_concurrency, patch.registration_concurrency.as_ref());
        set(&mut self.running_concurrency, patch.running_concurrency.as_ref());
        set(&mut self.running_limit, patch.running_limit);
        set(&mut self.reroute_on_concurrency_control, patch.reroute_on_concurrency_control);
        set(&mut self.on_diff_non_key_args_raise, patch.on_diff_non_key_args_raise);
        set(&mut self.disable_cache_args, patch.disable_cache_args.as_ref().map(owned));
        set(&mut self.force_new_workflow, patch.force_new_workflow);
        set(&mut self.fence, patch.fence);
    }

    /// Checks the ranges, and that the options name only arguments of the task.
    ///
    /// # Errors
    ///
    /// An error that names the task and the option; for an unknown argument with a suggestion.
    pub fn validate(&self, task_id: &str, known_arguments: &[&str]) -> Result<()> {
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
        argument_names::check(cached, known_arguments).or_else(|rule| refuse("disable_cache_args", &rule))?;
        argument_names::check(self.registration_concurrency.keys(), known_arguments)
            .or_else(|rule| refuse("registration_concurrency", &rule))?;
        argument_names::check(self.running_concurrency.keys(), known_arguments)
            .or_else(|rule| refuse("running_concurrency", &rule))
    }
}

fn set<T, U: Into<T>>(option: &mut T, value: Option<U>) {
    if let Some(value) = value {
        *option = value.into();
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
    if limit > 0 { Ok(limit) } else { Err(out_of_range(limit.into(), "a whole number of at least 1")) }
}

fn out_of_range<E: serde::de::Error>(found: u64, expected: &str) -> E {
    E::invalid_value(serde::de::Unexpected::Unsigned(found), &expected)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use std::borrow::Cow;

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
    fn a_constant_patch_sets_its_options() {
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
    fn ranges_and_argument_names_are_validated() {
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
}
