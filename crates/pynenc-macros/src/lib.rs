//! The attribute macros of pynenc.
//!
//! Use the macros as `pynenc::task` and `pynenc::workflow`: the generated code refers to items of the crate `pynenc`.

mod expand;
mod function;
mod options;
mod patch;
mod values;

use proc_macro2::TokenStream;

/// Turns a free function into a task.
///
/// `#[task] async fn add(x: i64, y: i64) -> i64` defines three items under one name:
///
/// - The function `add(1, 2)` creates a `Call<add>` and runs nothing.
/// - The type `add` implements `Task`. Use it as in `Call<add>`, `on_success::<add>()` or `add::NAME`.
/// - The function `add::run(1, 2)` runs the task function itself, for unit tests.
///
/// `use tasks::add` imports all of them. The scope can't have another type, trait or module of the same name.
///
/// An `async fn` runs on the tokio runtime, a synchronous `fn` on the pool of blocking threads. A task returns a value,
/// or a `Result` whose error converts into `Box<dyn Error + Send + Sync>`. Arguments and the returned value must be
/// owned and implement serde's traits.
///
/// A parameter with `#[inject]` isn't an argument. Its type implements `FromContext`, and the runner creates the value
/// for each attempt.
///
/// # Options
///
/// | option | meaning |
/// |---|---|
/// | `name = "billing.charge"` | the task's name; by default the path of the function |
/// | `queue = "gpu"` | the queue of the task's invocations |
/// | `priority = 7` | the priority, 0 to 9; a higher priority is taken first |
/// | `max_retries = 3` | how many times a failed invocation is retried |
/// | `backoff = none` | no wait before a retry; or `constant("5s")`, `exponential`, `exponential(base = "1s", factor = 2, max = "5m", jitter = false)` |
/// | `timeout = "30s"` | the timeout of one attempt: a duration, or a number of seconds |
/// | `retry_for(Busy \| Timeout { .. })` | the errors to retry, as a pattern |
/// | `retry_if = path` | the errors to retry, as a function from `&E` to `bool` |
/// | `registration_concurrency = task` | the invocations of which only one may wait: `disabled`, `task`, `arguments`, `keys(a, b)` |
/// | `running_concurrency = keys(a)` | the invocations of which only `running_limit` may run at once; the same words |
/// | `running_limit = 3` | how many invocations with one `running_concurrency` key may run at once |
/// | `reroute_on_concurrency_control` | whether an invocation above the running limit is parked instead of dropped; also `= true`, `= false` |
/// | `on_diff_non_key_args_raise` | whether a submit fails if an invocation with the same key, but otherwise different arguments, already waits |
/// | `disable_cache_args(a, b)` | the arguments that are never cached; `*` stands for all |
/// | `force_new_workflow` | whether each invocation starts a workflow |
/// | `fence = cancel` | the treatment of an attempt whose runner can't prove that it still owns the invocation: `run` or `cancel` |
/// | `triggers = on_cron("0 3 * * *")` | the conditions that call the task; only for a task without arguments |
/// | `crate = path` | the path of the crate `pynenc`; by default `::pynenc` |
///
/// The configuration decides the options that the attribute doesn't set.
///
/// # Errors
///
/// Misuse is a compile error at the token in question: a method, generics, a borrowed argument, an unknown option, or a
/// concurrency key that isn't an argument.
#[proc_macro_attribute]
pub fn task(attribute: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand_task(attribute.into(), item.into()).into()
}

/// Turns an `async fn` into a task whose invocations each start a workflow, like `#[task(force_new_workflow)]`.
///
/// The task function gets its workflow by a parameter `#[inject] wf: Workflow`. The options are the same as for `task`.
///
/// # Errors
///
/// As for `task`. Also, a synchronous function is a compile error, because a workflow waits.
#[proc_macro_attribute]
pub fn workflow(attribute: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand_workflow(attribute.into(), item.into()).into()
}

fn expand_workflow(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expanded(attribute, item, options::Options::parse_workflow)
}

fn expand_task(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expanded(attribute, item, options::Options::parse)
}

/// Expands the attribute. If an option is invalid, the task is generated without options, so that callers of the task
/// get no additional errors.
fn expanded(
    attribute: TokenStream,
    item: TokenStream,
    parse: impl FnOnce(TokenStream, &function::Function) -> darling::Result<options::Options>,
) -> TokenStream {
    let function = match function::Function::parse(item) {
        Ok(function) => function,
        Err(error) => return error.write_errors(),
    };
    match parse(attribute, &function) {
        Ok(options) => expand::expand(&function, &options),
        Err(error) => {
            let mut expansion = expand::expand(&function, &options::Options::default());
            expansion.extend(error.write_errors());
            expansion
        }
    }
}
