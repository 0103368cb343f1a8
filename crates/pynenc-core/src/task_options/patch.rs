//! Task options of which each may be unset.

use std::borrow::Cow;
use std::time::Duration;

use super::argument_names::Names;
use super::backoff::Backoff;
use super::concurrency::Concurrency;
use super::fence::Fence;

/// The options that an attribute or a call sets. An option that is none isn't changed.
///
/// ```
/// use pynenc_core::task_options::TaskPatch;
///
/// const PATCH: TaskPatch = TaskPatch { max_retries: Some(3), ..TaskPatch::NONE };
/// assert_eq!(PATCH.priority, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskPatch {
    /// See [`TaskOptions::queue`](super::TaskOptions::queue).
    pub queue: Option<Cow<'static, str>>,
    /// See [`TaskOptions::priority`](super::TaskOptions::priority).
    pub priority: Option<u8>,
    /// See [`TaskOptions::max_retries`](super::TaskOptions::max_retries).
    pub max_retries: Option<u32>,
    /// See [`TaskOptions::backoff`](super::TaskOptions::backoff).
    pub backoff: Option<Backoff>,
    /// See [`TaskOptions::timeout`](super::TaskOptions::timeout).
    pub timeout: Option<Duration>,
    /// See [`TaskOptions::registration_concurrency`](super::TaskOptions::registration_concurrency).
    pub registration_concurrency: Option<Concurrency<Names>>,
    /// See [`TaskOptions::running_concurrency`](super::TaskOptions::running_concurrency).
    pub running_concurrency: Option<Concurrency<Names>>,
    /// See [`TaskOptions::running_limit`](super::TaskOptions::running_limit).
    pub running_limit: Option<u32>,
    /// See [`TaskOptions::reroute_on_concurrency_control`](super::TaskOptions::reroute_on_concurrency_control).
    pub reroute_on_concurrency_control: Option<bool>,
    /// See [`TaskOptions::on_diff_non_key_args_raise`](super::TaskOptions::on_diff_non_key_args_raise).
    pub on_diff_non_key_args_raise: Option<bool>,
    /// See [`TaskOptions::disable_cache_args`](super::TaskOptions::disable_cache_args).
    pub disable_cache_args: Option<Names>,
    /// See [`TaskOptions::force_new_workflow`](super::TaskOptions::force_new_workflow).
    pub force_new_workflow: Option<bool>,
    /// See [`TaskOptions::fence`](super::TaskOptions::fence).
    pub fence: Option<Fence>,
}

impl TaskPatch {
    /// The patch that sets no option.
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
