//! Parses and checks the options of the attribute.

use std::collections::HashSet;

use darling::ast::NestedMeta;
use darling::error::Accumulator;
use darling::util::parse_expr;
use darling::{Error, FromMeta, Result};
use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Expr, Path, ReturnType};

use crate::function::{Function, Parameter};
use crate::values::{Backoff, CacheArgs, Concurrency, Fence, RetryFor, Text, Wait, Whole};

/// The options that the attribute sets.
#[derive(Default, FromMeta)]
pub(crate) struct Options {
    pub(crate) name: Option<Text>,
    pub(crate) queue: Option<Text>,
    pub(crate) priority: Option<Whole<0, 9>>,
    pub(crate) max_retries: Option<Whole<0, { u32::MAX }>>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) timeout: Option<Wait>,
    pub(crate) retry_for: Option<RetryFor>,
    pub(crate) retry_if: Option<Path>,
    pub(crate) registration_concurrency: Option<Concurrency>,
    pub(crate) running_concurrency: Option<Concurrency>,
    pub(crate) running_limit: Option<Whole<1, { u32::MAX }>>,
    pub(crate) reroute_on_concurrency_control: Option<bool>,
    pub(crate) on_diff_non_key_args_raise: Option<bool>,
    pub(crate) disable_cache_args: Option<CacheArgs>,
    pub(crate) force_new_workflow: Option<bool>,
    pub(crate) fence: Option<Fence>,
    #[darling(with = parse_expr::preserve_str_literal, map = Some)]
    pub(crate) triggers: Option<Expr>,
    #[darling(rename = "crate")]
    pub(crate) facade: Option<Path>,
}

/// The error for `retry_for` and `retry_if` on a task without a `Result`.
pub(crate) const NO_ERRORS: &str = "this task doesn't return a `Result`, so it has no errors to retry";

/// The names of the options.
const NAMES: [&str; 18] = [
    "name",
    "queue",
    "priority",
    "max_retries",
    "backoff",
    "timeout",
    "retry_for",
    "retry_if",
    "registration_concurrency",
    "running_concurrency",
    "running_limit",
    "reroute_on_concurrency_control",
    "on_diff_non_key_args_raise",
    "disable_cache_args",
    "force_new_workflow",
    "fence",
    "triggers",
    "crate",
];

impl Options {
    /// Parses the attribute of `function`.
    ///
    /// # Errors
    ///
    /// One error at each unknown, duplicate or invalid option, with a suggestion for a misspelled name.
    pub(crate) fn parse(attribute: TokenStream, function: &Function) -> Result<Self> {
        let mut errors = Error::accumulator();
        let items = known_items(NestedMeta::parse_meta_list(attribute)?, &mut errors);
        let Some(options) = errors.handle(Self::from_list(&items)) else {
            return errors.finish_with(Self::default());
        };
        options.check_arguments(function, &mut errors);
        errors.handle(options.check_retry(function));
        errors.handle(options.check_triggers(function));
        errors.finish_with(options)
    }

    /// Parses the attribute of a workflow.
    ///
    /// # Errors
    ///
    /// As [`Options::parse`]. Also if the function isn't `async`, or if the attribute sets `force_new_workflow`.
    pub(crate) fn parse_workflow(attribute: TokenStream, function: &Function) -> Result<Self> {
        let options = Self::parse(attribute, function)?;
        if options.force_new_workflow.is_some() {
            let message =
                "each invocation of a `#[workflow]` starts a workflow: remove `force_new_workflow`, or use `#[task]`";
            return Err(Error::custom(message));
        }
        if !function.is_async {
            let message = "a workflow must be an `async fn`, because it waits";
            return Err(Error::custom(message).with_span(&function.name));
        }
        Ok(Self { force_new_workflow: Some(true), ..options })
    }

    fn check_arguments(&self, function: &Function, errors: &mut Accumulator) {
        let keys = [&self.registration_concurrency, &self.running_concurrency].into_iter().flatten();
        let named = keys.flat_map(Concurrency::keys).chain(self.disable_cache_args.iter().flat_map(CacheArgs::names));
        for name in named {
            errors.handle(check_argument(name, function));
        }
    }

    fn check_retry(&self, function: &Function) -> Result<()> {
        if let (Some(_), Some(path)) = (&self.retry_for, &self.retry_if) {
            return Err(
                Error::custom("`retry_if` and `retry_for` can't be combined: remove one of them").with_span(path)
            );
        }
        match (self.retry_span(), &function.output) {
            (Some(span), ReturnType::Default) => Err(Error::custom(NO_ERRORS).with_span(&span)),
            _ => Ok(()),
        }
    }

    /// Returns the span of `retry_for` or `retry_if`.
    pub(crate) fn retry_span(&self) -> Option<Span> {
        let pattern = self.retry_for.as_ref().map(|retry| retry.0.span());
        pattern.or_else(|| self.retry_if.as_ref().map(Spanned::span))
    }

    fn check_triggers(&self, function: &Function) -> Result<()> {
        let message = "`triggers` is only for tasks without arguments: add a trigger to the builder, with arguments by \
                       `.call(..)`";
        match &self.triggers {
            Some(triggers) if function.arguments().next().is_some() => Err(Error::custom(message).with_span(triggers)),
            _ => Ok(()),
        }
    }
}

/// Returns the options with known names. Reports unknown and duplicate options.
fn known_items(items: Vec<NestedMeta>, errors: &mut Accumulator) -> Vec<NestedMeta> {
    let mut seen = HashSet::new();
    items.into_iter().filter(|item| errors.handle(check_item(item, &mut seen)).is_some()).collect()
}

fn check_item(item: &NestedMeta, seen: &mut HashSet<String>) -> Result<()> {
    let path = match item {
        NestedMeta::Meta(meta) => meta.path(),
        NestedMeta::NameValueInvalidExpr(option) => &option.path,
        NestedMeta::Lit(literal) => {
            return Err(Error::custom("expected an option such as `max_retries = 3`").with_span(literal));
        }
    };
    let name = path.to_token_stream().to_string();
    if !NAMES.contains(&name.as_str()) {
        let advice = advice(&name, "the options are", &NAMES);
        return Err(Error::custom(format!("unknown option `{name}`; {advice}")).with_span(path));
    }
    let duplicate = || Error::custom(format!("duplicate option `{name}`")).with_span(path);
    if seen.insert(name.clone()) { Ok(()) } else { Err(duplicate()) }
}

fn check_argument(name: &Ident, function: &Function) -> Result<()> {
    let text = name.unraw().to_string();
    let message = match function.parameters.iter().find(|parameter| parameter.text() == text) {
        Some(Parameter { injected: false, .. }) => return Ok(()),
        Some(_) => format!("`{text}` is injected, so it isn't an argument"),
        None => {
            let known: Vec<String> = function.arguments().map(Parameter::text).collect();
            format!("`{text}` isn't an argument of this task; {}", advice(&text, "its arguments are", &known))
        }
    };
    Err(Error::custom(message).with_span(name))
}

/// Suggests the most similar known name, or lists all known names.
fn advice<S: AsRef<str>>(name: &str, intro: &str, known: &[S]) -> String {
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    let scored = known.iter().map(|other| (strsim::jaro_winkler(name, other), other));
    let near = scored.filter(|(similarity, _)| *similarity > 0.8);
    match near.max_by(|(a, _), (b, _)| a.total_cmp(b)) {
        Some((_, near)) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "the task has no arguments".to_owned(),
        None => format!("{intro} {}", known.join(", ")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use std::time::Duration;

    use quote::quote;

    use super::*;

    fn parse(attribute: TokenStream) -> Result<Options> {
        let item = quote!(
            async fn pay(account: u64, amount: u64, #[inject] db: State<Db>) -> Result<(), Declined> {}
        );
        Options::parse(attribute, &Function::parse(item)?)
    }

    fn check_refused(attribute: TokenStream, message: &str) {
        let shown = attribute.to_string();
        let error = parse(attribute).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(message), "{shown}: {error:?} without {message:?}");
    }

    #[test]
    fn every_option_is_parsed() {
        let options = parse(quote! {
            name = "billing.pay", queue = "gpu", priority = 9, max_retries = 3, backoff = constant("5s"), timeout = "1m 30s",
            retry_for(Declined::Busy | Declined::Later { .. }), registration_concurrency = keys(account, amount),
            running_concurrency = task, running_limit = 2, reroute_on_concurrency_control, on_diff_non_key_args_raise = false,
            disable_cache_args(amount), force_new_workflow = true, fence = cancel, crate = crate::facade,
        })
        .unwrap();
        assert_eq!(options.name.unwrap().0, "billing.pay");
        assert_eq!(options.timeout.unwrap().0, Duration::from_secs(90));
        assert_eq!(options.registration_concurrency.unwrap().keys().len(), 2);
        assert_eq!(options.running_concurrency, Some(Concurrency::Task));
        assert_eq!(options.reroute_on_concurrency_control, Some(true));
        assert_eq!(options.on_diff_non_key_args_raise, Some(false));
        assert!(matches!(options.fence, Some(Fence::Cancel)));
        assert!(options.facade.is_some() && options.retry_for.is_some());
    }

    #[test]
    fn a_workflow_must_be_async_and_sets_force_new_workflow() {
        let parse = |attribute, item| Options::parse_workflow(attribute, &Function::parse(item)?);
        let good = parse(
            quote!(max_retries = 3),
            quote!(
                async fn f() {}
            ),
        )
        .unwrap();
        assert_eq!(good.force_new_workflow, Some(true));
        let refused = |attribute, item| parse(attribute, item).err().unwrap().to_string();
        assert!(
            refused(
                quote!(),
                quote!(
                    fn f() {}
                )
            )
            .contains("`async fn`")
        );
        assert!(
            refused(
                quote!(force_new_workflow = false),
                quote!(
                    async fn f() {}
                )
            )
            .contains("remove `force_new_workflow`")
        );
    }

    #[test]
    fn an_empty_attribute_sets_no_option() {
        let options = parse(TokenStream::new()).unwrap();
        assert!(options.name.is_none() && options.priority.is_none() && options.force_new_workflow.is_none());
    }

    #[test]
    fn durations_are_text_or_a_number_of_seconds() {
        let check =
            |option, millis| assert_eq!(parse(option).unwrap().timeout.unwrap().0, Duration::from_millis(millis));
        check(quote!(timeout = "250ms"), 250);
        check(quote!(timeout = "2.5"), 2500);
        check(quote!(timeout = 30), 30_000);
        check(quote!(timeout = 0.5), 500);
    }

    #[test]
    fn each_parameter_of_exponential_is_optional() {
        let options = parse(quote!(backoff = exponential(base = "100ms", factor = 1.5, jitter = false))).unwrap();
        let Some(Backoff::Exponential(exponential)) = options.backoff else { panic!("another backoff") };
        assert_eq!(exponential.base.unwrap().0, Duration::from_millis(100));
        assert!((exponential.factor.unwrap().0 - 1.5).abs() < f64::EPSILON);
        assert_eq!((exponential.max.is_none(), exponential.jitter), (true, Some(false)));
    }

    #[test]
    fn the_error_for_an_unknown_name_has_a_suggestion() {
        check_refused(quote!(max_retry = 3), "unknown option `max_retry`; did you mean `max_retries`?");
        check_refused(quote!(colour = "red"), "the options are name, queue, ");
        check_refused(quote!(a::b), "unknown option `a :: b`");
        check_refused(quote!("gpu"), "expected an option");
        check_refused(quote!(running_concurrency = keys(acount)), "did you mean `account`?");
        check_refused(quote!(running_concurrency = keys(zzz)), "its arguments are account, amount");
        check_refused(quote!(disable_cache_args(amont)), "did you mean `amount`?");
        check_refused(quote!(registration_concurrency = keys(db)), "injected");
        check_refused(quote!(backoff = exponential(bse = "1s")), "base");
    }

    #[test]
    fn invalid_values_are_refused() {
        check_refused(quote!(priority = 10), "from 0 to 9");
        check_refused(quote!(priority = -1), "from 0 to 9");
        check_refused(quote!(max_retries = "3"), "at least 0");
        check_refused(quote!(running_limit = 0), "at least 1");
        check_refused(quote!(timeout = "30x"), "expected a duration");
        check_refused(quote!(timeout = true), "expected a duration");
        check_refused(quote!(name = ""), "empty");
        check_refused(quote!(backoff = linear), "expected `none`");
        check_refused(quote!(backoff = constant("1s", "2s")), "expected `none`");
        check_refused(quote!(backoff = exponential(factor = 0.5)), "at least 1");
        check_refused(quote!(running_concurrency = tasks), "expected `disabled`");
        check_refused(quote!(running_concurrency = keys()), "expected `disabled`");
        check_refused(quote!(running_concurrency = keys(a + b)), "name of an argument");
        check_refused(quote!(disable_cache_args), "expected `disable_cache_args(a, b)`");
        check_refused(quote!(disable_cache_args()), "expected `disable_cache_args(a, b)`");
        check_refused(quote!(fence = stop), "`run` or `cancel`");
        check_refused(quote!(retry_for = Busy), "expected a pattern");
        check_refused(quote!(retry_for()), "expected");
        check_refused(quote!(queue = "a", queue = "b"), "duplicate option `queue`");
        check_refused(quote!(retry_for(Busy), retry_if = is_busy), "remove one of them");
    }

    #[test]
    fn triggers_are_refused_on_tasks_with_arguments() {
        let function = Function::parse(quote!(
            fn f(#[inject] db: State<Db>) {}
        ))
        .unwrap();
        assert!(Options::parse(quote!(triggers = on_cron("0 3 * * *")), &function).unwrap().triggers.is_some());
        check_refused(quote!(triggers = on_cron("0 3 * * *")), "without arguments");
    }

    #[test]
    fn retry_for_is_refused_on_a_task_without_a_result() {
        let function = Function::parse(quote!(
            fn f() {}
        ))
        .unwrap();
        let error = Options::parse(quote!(retry_for(Busy)), &function).err().unwrap();
        assert!(error.to_string().contains("doesn't return a `Result`"), "{error}");
    }

    #[test]
    fn all_errors_are_reported() {
        assert_eq!(parse(quote!(priority = 10, timeout = "x", qeue = "a")).err().unwrap().len(), 3);
    }
}
