//! Tests of the items that `#[task]` generates. The lints are as strict as in a strict user's crate.
#![deny(warnings, clippy::pedantic, missing_docs, missing_debug_implementations, unreachable_pub, unsafe_code)]

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use pynenc::__private::{
    ArgumentSink, ArgumentSource, Arguments, Backoff, Concurrency, Fence, Task, TaskFunction, TaskPatch,
};
use pynenc::prelude::*;
use pynenc_core::serializer::JsonSerializer;

type Shared<T> = std::result::Result<T, Declined>;

/// Why a payment failed.
#[derive(Debug, thiserror::Error)]
#[allow(dead_code, reason = "patterns name them")]
pub enum Declined {
    /// The bank is busy.
    #[error("busy")]
    Busy,
    /// The payment is possible later.
    #[error("in {seconds}")]
    Later {
        /// The wait in seconds.
        seconds: u64,
    },
    /// There is no account.
    #[error("no account")]
    NoAccount,
}

impl Declined {
    fn is_transient(&self) -> bool {
        !matches!(self, Self::NoAccount)
    }
}

/// A module with tasks, like a user's module.
mod tasks {
    use super::{Db, Declined, Shared};
    use pynenc::prelude::*;
    use std::collections::HashMap;

    #[task]
    pub(crate) async fn add(x: i64, y: i64) -> i64 {
        std::future::ready(x + y).await
    }

    #[task]
    pub(crate) async fn aliased(ok: bool) -> Shared<u8> {
        std::future::ready(if ok { Ok(1) } else { Err(Declined::Busy) }).await
    }

    #[task]
    pub(crate) fn two_arguments(ok: bool) -> Result<u8, Declined> {
        if ok { Ok(1) } else { Err(Declined::Busy) }
    }

    #[task]
    pub(crate) fn nothing() {}

    #[task]
    pub(crate) async fn fibonacci(n: u64) -> Result<u64> {
        if n < 2 {
            return Ok(n);
        }
        Ok(fibonacci(n - 1).await? + fibonacci(n - 2).await?)
    }

    #[task]
    pub(crate) fn injected(first: u8, #[inject] _context: TaskContext, mut second: u8, #[inject] db: State<Db>) -> u8 {
        second += 1;
        first + second + db.0
    }

    #[task]
    pub(crate) fn with_collections(maybe: Option<String>, counts: HashMap<String, u32>) -> usize {
        maybe.map_or(0, |text| text.len()) + counts.len()
    }
}

/// A state that tasks inject.
#[derive(Debug)]
pub struct Db(u8);

#[test]
fn one_import_has_the_function_and_the_type() {
    use tasks::add;
    let call: Call<add> = add(1, 2);
    assert_eq!((call.arguments().x, call.arguments().y), (1, 2));
    assert_eq!(add::NAME, "task_macro::tasks::add");
    assert_eq!(add::definition().name, add::NAME);
    assert_eq!(add::definition().arguments, ["x", "y"]);
    assert_eq!(add::definition().options, TaskPatch::NONE);
}

fn linked(name: &str) -> bool {
    pynenc::__private::inventory::iter::<pynenc::__private::LinkedTask>().any(|task| (task.0)().name == name)
}

#[test]
fn tasks_are_found_at_link_time() {
    assert!(linked(tasks::add::NAME) && linked(tasks::nothing::NAME));
}

#[tokio::test]
async fn run_calls_the_task_function() {
    assert_eq!(tasks::add::run(1, 2).await, 3);
    assert!(matches!(tasks::aliased::run(false).await, Err(Declined::Busy)));
    assert_eq!(tasks::two_arguments::run(true).ok(), Some(1));
    assert_eq!(tasks::fibonacci::run(1).await.ok(), Some(1));
    assert!(matches!(tasks::fibonacci::run(2).await, Err(Error::NoContext)));
    assert_eq!(tasks::with_collections::run(Some("ab".into()), HashMap::new()), 2);
    tasks::nothing::run();
}

#[test]
fn the_output_of_a_task_is_the_ok_type_of_its_result() {
    fn check<T: Task<Output = V>, V>() {}
    check::<tasks::add, i64>();
    check::<tasks::aliased, u8>();
    check::<tasks::two_arguments, u8>();
    check::<tasks::nothing, ()>();
    check::<tasks::fibonacci, u64>();
}

#[test]
fn async_functions_run_on_the_runtime_and_synchronous_ones_on_threads() {
    assert!(matches!(tasks::add::definition().function, TaskFunction::Async(_)));
    assert!(matches!(tasks::nothing::definition().function, TaskFunction::Blocking(_)));
}

#[test]
fn injected_parameters_are_not_arguments() {
    let call = tasks::injected(1, 2);
    assert_eq!((call.arguments().first, call.arguments().second), (1, 2));
    assert_eq!(tasks::injected::definition().arguments, ["first", "second"]);
    let mut required = pynenc_engine::task::Requirements::default();
    (tasks::injected::definition().requires)(&mut required);
    assert!(format!("{required:?}").contains("task_macro::Db"), "{required:?}");
}

fn round_trip<T: Task>(call: &Call<T>) -> pynenc_core::Result<T::Arguments> {
    let mut sink = ArgumentSink::new(&JsonSerializer, false);
    call.arguments().encode(&mut sink)?;
    let encoded = sink.into_parts().0.into_iter().map(|(name, value)| (Cow::Borrowed(name), value.bytes));
    T::Arguments::decode(&mut ArgumentSource::new(std::sync::Arc::new(JsonSerializer), encoded.collect()))
}

#[test]
fn arguments_are_decoded_as_they_were() -> pynenc_core::Result<()> {
    let counts = HashMap::from([("a".to_owned(), 1)]);
    let arguments = round_trip(&tasks::with_collections(None, counts.clone()))?;
    assert_eq!((arguments.maybe, arguments.counts), (None, counts));
    let _none = round_trip(&tasks::nothing())?;
    let arguments = round_trip(&injected_values())?;
    assert_eq!((arguments.first, arguments.second), (1, 2));
    Ok(())
}

fn injected_values() -> Call<tasks::injected> {
    tasks::injected(1, 2)
}

#[test]
fn unknown_arguments_are_an_error() {
    let given = vec![(Cow::Borrowed("z"), b"1".to_vec().into())];
    let decoded = <tasks::nothing as Task>::Arguments::decode(&mut ArgumentSource::new(
        std::sync::Arc::new(JsonSerializer),
        given,
    ));
    assert!(decoded.err().is_some_and(|error| error.to_string().contains("argument: z")));
}

/// Pays.
///
/// # Errors
///
/// The bank declines the payment.
#[task(
    name = "billing.pay",
    queue = "gpu",
    priority = 7,
    max_retries = 3,
    backoff = exponential(base = "100ms", factor = 1.5, jitter = false),
    timeout = "1m 30s",
    retry_for(Declined::Busy | Declined::Later { .. }),
    registration_concurrency = keys(account, r#type),
    running_concurrency = arguments,
    running_limit = 3,
    reroute_on_concurrency_control,
    on_diff_non_key_args_raise = false,
    disable_cache_args(note),
    force_new_workflow = true,
    fence = cancel,
    crate = pynenc
)]
#[allow(clippy::unused_async, reason = "a real task would call a bank here")]
async fn pay(account: u64, r#type: u8, note: String) -> Result<(), Declined> {
    if note.is_empty() && account > u64::from(r#type) { Err(Declined::NoAccount) } else { Ok(()) }
}

#[test]
fn options_become_a_constant_patch() {
    let keys: &[Cow<'_, str>] = &["account".into(), "type".into()];
    let expected = TaskPatch {
        queue: Some("gpu".into()),
        priority: Some(7),
        max_retries: Some(3),
        backoff: Some(Backoff::Exponential {
            base: Duration::from_millis(100),
            factor: 1.5,
            max: Duration::from_secs(300),
            jitter: false,
        }),
        timeout: Some(Duration::from_secs(90)),
        registration_concurrency: Some(Concurrency::Keys(keys.to_vec().into())),
        running_concurrency: Some(Concurrency::Arguments),
        running_limit: Some(3),
        reroute_on_concurrency_control: Some(true),
        on_diff_non_key_args_raise: Some(false),
        disable_cache_args: Some(vec!["note".into()].into()),
        force_new_workflow: Some(true),
        fence: Some(Fence::Cancel),
    };
    assert_eq!(pay::definition().options, expected);
    assert_eq!((pay::NAME, pay::definition().name), ("billing.pay", "billing.pay"));
}

#[task(backoff = none, running_concurrency = task, disable_cache_args(*), retry_if = Declined::is_transient)]
fn retries_transient_errors() -> Shared<()> {
    Err(Declined::NoAccount)
}

#[task(backoff = constant("5s"), registration_concurrency = disabled, fence = run)]
fn constant_wait() {}

#[task(backoff = exponential)]
fn default_exponential() {}

#[test]
fn option_values_become_variants() {
    let options = &retries_transient_errors::definition().options;
    assert_eq!((&options.backoff, &options.running_concurrency), (&Some(Backoff::None), &Some(Concurrency::Task)));
    assert_eq!(options.disable_cache_args, Some(vec!["*".into()].into()));
    assert!(
        retries_transient_errors::run().is_err_and(|error| error.is_transient() == matches!(error, Declined::Busy))
    );
    let options = &constant_wait::definition().options;
    assert_eq!(options.backoff, Some(Backoff::Constant(Duration::from_secs(5))));
    assert_eq!((&options.registration_concurrency, options.fence), (&Some(Concurrency::Disabled), Some(Fence::Run)));
    assert_eq!(default_exponential::definition().options.backoff, Some(Backoff::default()));
}

/// Public tasks with attributes that users may add.
pub mod public {
    use pynenc::prelude::*;

    /// A task keeps its documentation.
    #[task]
    #[deprecated(note = "try `r#try` in its place")]
    #[must_use]
    pub fn old(a: bool, b: bool, c: bool, d: bool) -> bool {
        #![allow(clippy::fn_params_excessive_bools, reason = "the flags are part of the test")]
        a && b && c && d
    }

    /// A task whose name is a keyword, with a `cfg` that is true.
    #[task]
    #[cfg(not(any()))]
    pub fn r#try(error: String, source: u8, context: u8, arguments: u8, _unused: u8) -> String {
        format!("{error}{source}{context}{arguments}")
    }

    /// A task with a `cfg` that is false.
    #[task]
    #[cfg(any())]
    pub fn absent(missing: Missing) {}
}

#[test]
fn names_of_parameters_and_tasks_dont_clash_with_names_of_the_macro() {
    use public::r#try;
    assert_eq!(r#try::NAME, "task_macro::public::try");
    assert_eq!(r#try::run("e".into(), 1, 2, 3, 4), "e123");
    assert_eq!(r#try("e".into(), 1, 2, 3, 4).arguments().source, 1);
    #[allow(deprecated, reason = "the test checks a deprecated task")]
    let call = public::old(true, true, true, false);
    assert!(call.arguments().a && !public::old::run(true, true, true, false));
}

#[test]
fn a_task_can_be_defined_in_a_function() {
    #[task]
    fn local(x: u8) -> u8 {
        x + 1
    }
    assert_eq!((local(1).arguments().x, local::run(1)), (1, 2));
    assert_eq!(local::NAME, "task_macro::local");
}

macro_rules! task_of {
    ($name:ident, $wait:expr, $of:ty) => {
        #[task(timeout = $wait, max_retries = 2)]
        fn $name(value: $of) -> $of {
            value
        }
    };
}

task_of!(made, "5s", Vec<u8>);

#[test]
fn a_macro_can_define_a_task() {
    assert_eq!(made::definition().options.timeout, Some(Duration::from_secs(5)));
    assert_eq!(made::run(vec![1]), made(vec![1]).arguments().value);
}
