//! The attribute macros of pynenc. Use them as `pynenc::task` and `pynenc::workflow`; their expansion names what `pynenc`
//! exports.

mod expand;
mod function;
mod options;
mod patch;
mod values;

use proc_macro2::TokenStream;

/// Makes a task of a free function.
///
/// `#[task] async fn add(x: i64, y: i64) -> i64` leaves three things under one name:
///
/// - the function `add(1, 2)`, which makes a `Call<add>` and runs nothing;
/// - the type `add`, which implements `Task`: `Call<add>`, `on_success::<add>()`, `add::NAME`;
/// - `add::run(1, 2)`, the body itself, for unit tests.
///
/// `use tasks::add` brings them all. A type, trait or module of the same name can't stand in the same scope.
///
/// An `async fn` runs on the runtime, a plain `fn` on the pool of blocking threads. It returns a value or a `Result` whose
/// error converts into `Box<dyn Error + Send + Sync>`. Arguments and the value are owned, and travel through serde.
///
/// A parameter marked `#[inject]` is no argument: its type implements `FromContext`, and the runner makes it for each run.
///
/// # Options
///
/// | option | meaning |
/// |---|---|
/// | `name = "billing.charge"` | the task's name, in place of its path |
/// | `queue = "gpu"` | the queue it waits in |
/// | `priority = 7` | 0 to 9; a higher one is taken first |
/// | `max_retries = 3` | how often it is repeated after a failure |
/// | `backoff = none` | no wait before a repeat; or `constant("5s")`, `exponential`, `exponential(base = "1s", factor = 2, max = "5m", jitter = false)` |
/// | `timeout = "30s"` | how long one run may take: a duration, or a number of seconds |
/// | `retry_for(Busy \| Timeout { .. })` | the errors worth a repeat, as a pattern |
/// | `retry_if = path` | the errors worth a repeat, as a function from `&E` to `bool` |
/// | `registration_concurrency = task` | which invocations can't wait together: `disabled`, `task`, `arguments`, `keys(a, b)` |
/// | `running_concurrency = keys(a)` | which invocations can't run together; the same words |
/// | `running_limit = 3` | how many of them may |
/// | `reroute_on_concurrency_control` | whether one that may not run yet is queued again; also `= true`, `= false` |
/// | `on_diff_non_key_args_raise` | whether one that waits already with other arguments is an error |
/// | `disable_cache_args(a, b)` | arguments that are never cached; `*` is all |
/// | `force_new_workflow` | whether each invocation founds a workflow |
/// | `fence = cancel` | what becomes of a run whose runner can't prove that it owns it: `run` or `cancel` |
/// | `triggers = on_cron("0 3 * * *")` | what calls the task, if it has no arguments |
/// | `crate = path` | where `pynenc` is found, if not at `::pynenc` |
///
/// An option that isn't given is left to the configuration.
///
/// # Errors
///
/// Misuse is a compile error that points at the token: a method, generics, a borrowed argument, an unknown option, a key
/// that is no argument.
#[proc_macro_attribute]
pub fn task(attribute: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand_task(attribute.into(), item.into()).into()
}

/// Makes a task of an `async fn` of which each invocation founds a workflow: as `#[task(force_new_workflow)]` does.
///
/// The body is given its workflow by a parameter `#[inject] wf: Workflow`. The options are those of `task`.
///
/// # Errors
///
/// As with `task`; and a plain function is refused, because a workflow waits.
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

/// Options that can't be read leave the task as it would be without any, so that its callers get no errors of their own.
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
