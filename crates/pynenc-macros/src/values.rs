//! Parses the values of options.

use std::time::Duration;

use darling::ast::NestedMeta;
use darling::{Error, FromMeta, Result};
use proc_macro2::Ident;
use quote::ToTokens;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Lit, Meta, Pat, Token};

/// A text that isn't empty.
pub(crate) struct Text(pub(crate) String);

impl FromMeta for Text {
    fn from_string(text: &str) -> Result<Self> {
        if text.is_empty() { Err(Error::custom("the text must not be empty")) } else { Ok(Self(text.to_owned())) }
    }
}

/// A whole number in a range.
pub(crate) struct Whole<const MIN: u32, const MAX: u32>(pub(crate) u32);

impl<const MIN: u32, const MAX: u32> FromMeta for Whole<MIN, MAX> {
    fn from_expr(expr: &Expr) -> Result<Self> {
        let number = match without_groups(expr) {
            Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok(),
            _ => None,
        };
        let expected = if MAX == u32::MAX { format!("of at least {MIN}") } else { format!("from {MIN} to {MAX}") };
        number
            .filter(|number| (MIN..=MAX).contains(number))
            .map(Self)
            .ok_or_else(|| Error::custom(format!("expected a whole number {expected}")).with_span(expr))
    }
}

/// A duration as text, or as a number of seconds.
pub(crate) struct Wait(pub(crate) Duration);

impl FromMeta for Wait {
    fn from_value(value: &Lit) -> Result<Self> {
        let duration = match value {
            Lit::Str(text) => duration(&text.value()),
            Lit::Int(number) => duration(number.base10_digits()),
            Lit::Float(number) => duration(number.base10_digits()),
            _ => Err("the value has another type".to_owned()),
        };
        duration.map(Self).map_err(|error| {
            Error::custom(format!("expected a duration such as \"1m 30s\", or a number of seconds: {error}"))
                .with_span(value)
        })
    }
}

/// Parses a duration like `pynenc_core::config::duration`.
fn duration(text: &str) -> std::result::Result<Duration, String> {
    match text.trim().parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string()),
        Err(_) => humantime::parse_duration(text.trim()).map_err(|error| error.to_string()),
    }
}

/// The invocations that share one concurrency limit.
#[derive(Debug, PartialEq)]
pub(crate) enum Concurrency {
    Disabled,
    Task,
    Arguments,
    Keys(Vec<Ident>),
}

impl Concurrency {
    /// Returns the names of the arguments in the key.
    pub(crate) fn keys(&self) -> &[Ident] {
        match self {
            Self::Keys(keys) => keys,
            Self::Disabled | Self::Task | Self::Arguments => &[],
        }
    }
}

impl FromMeta for Concurrency {
    fn from_expr(expr: &Expr) -> Result<Self> {
        match Form::of(expr) {
            Some(Form { word, arguments: None }) if word == "disabled" => Ok(Self::Disabled),
            Some(Form { word, arguments: None }) if word == "task" => Ok(Self::Task),
            Some(Form { word, arguments: None }) if word == "arguments" => Ok(Self::Arguments),
            Some(Form { word, arguments: Some(keys) }) if word == "keys" && !keys.is_empty() => {
                keys.iter().map(argument_name).collect::<Result<_>>().map(Self::Keys)
            }
            _ => Err(Error::custom("expected `disabled`, `task`, `arguments` or `keys(a, b)`").with_span(expr)),
        }
    }
}

fn argument_name(key: &Expr) -> Result<Ident> {
    match Form::of(key) {
        Some(Form { word, arguments: None }) => Ok(word),
        _ => Err(Error::custom("expected the name of an argument").with_span(key)),
    }
}

/// The wait before each retry.
pub(crate) enum Backoff {
    None,
    Constant(Wait),
    Exponential(Exponential),
}

/// The parameters of an exponential backoff.
#[derive(Default, FromMeta)]
pub(crate) struct Exponential {
    pub(crate) base: Option<Wait>,
    pub(crate) factor: Option<Factor>,
    pub(crate) max: Option<Wait>,
    pub(crate) jitter: Option<bool>,
}

impl FromMeta for Backoff {
    fn from_expr(expr: &Expr) -> Result<Self> {
        let expected = || {
            let forms = "`none`, `constant(\"5s\")`, `exponential` or \
                         `exponential(base = \"1s\", factor = 2, max = \"5m\", jitter = false)`";
            Error::custom(format!("expected {forms}")).with_span(expr)
        };
        let Form { word, arguments } = Form::of(expr).ok_or_else(expected)?;
        match (word.to_string().as_str(), arguments) {
            ("none", None) => Ok(Self::None),
            ("constant", Some(arguments)) if arguments.len() == 1 => Wait::from_expr(&arguments[0]).map(Self::Constant),
            ("exponential", None) => Ok(Self::Exponential(Exponential::default())),
            ("exponential", Some(arguments)) => {
                Exponential::from_list(&NestedMeta::parse_meta_list(arguments.to_token_stream())?)
                    .map(Self::Exponential)
            }
            _ => Err(expected()),
        }
    }
}

/// The factor from one wait to the next.
pub(crate) struct Factor(pub(crate) f64);

impl FromMeta for Factor {
    fn from_value(value: &Lit) -> Result<Self> {
        let factor = match value {
            Lit::Int(number) => number.base10_parse().ok(),
            Lit::Float(number) => number.base10_parse().ok(),
            _ => None,
        };
        factor
            .filter(|factor: &f64| factor.is_finite() && *factor >= 1.0)
            .map(Self)
            .ok_or_else(|| Error::custom("expected a number of at least 1").with_span(value))
    }
}

/// The treatment of an attempt whose runner can't prove that it still owns the invocation.
pub(crate) enum Fence {
    Run,
    Cancel,
}

impl FromMeta for Fence {
    fn from_expr(expr: &Expr) -> Result<Self> {
        match Form::of(expr) {
            Some(Form { word, arguments: None }) if word == "run" => Ok(Self::Run),
            Some(Form { word, arguments: None }) if word == "cancel" => Ok(Self::Cancel),
            _ => Err(Error::custom("expected `run` or `cancel`").with_span(expr)),
        }
    }
}

/// The arguments that are never cached.
pub(crate) enum CacheArgs {
    All,
    Some(Vec<Ident>),
}

impl CacheArgs {
    /// Returns the names of the arguments.
    pub(crate) fn names(&self) -> &[Ident] {
        match self {
            Self::All => &[],
            Self::Some(names) => names,
        }
    }
}

impl FromMeta for CacheArgs {
    fn from_meta(meta: &Meta) -> Result<Self> {
        let expected =
            || Error::custom("expected `disable_cache_args(a, b)` or `disable_cache_args(*)`").with_span(meta);
        let Meta::List(list) = meta else { return Err(expected()) };
        if list.tokens.to_string() == "*" {
            return Ok(Self::All);
        }
        let names = list.parse_args_with(Punctuated::<Ident, Token![,]>::parse_terminated)?;
        if names.is_empty() { Err(expected()) } else { Ok(Self::Some(names.into_iter().collect())) }
    }
}

/// The pattern of the errors to retry.
pub(crate) struct RetryFor(pub(crate) Pat);

impl FromMeta for RetryFor {
    fn from_meta(meta: &Meta) -> Result<Self> {
        match meta {
            Meta::List(list) => Ok(Self(
                Pat::parse_multi_with_leading_vert.parse2(list.tokens.clone()).map_err(|error| spanned(error, list))?,
            )),
            _ => Err(Error::custom("expected a pattern: `retry_for(Busy | Timeout { .. })`").with_span(meta)),
        }
    }
}

/// Moves an error to the option: an error at the end of the tokens has no useful span.
fn spanned(error: syn::Error, option: &impl Spanned) -> Error {
    Error::from(error).with_span(option)
}

/// `word`, or `word(arguments)`.
struct Form<'a> {
    word: Ident,
    arguments: Option<&'a Punctuated<Expr, Token![,]>>,
}

impl<'a> Form<'a> {
    fn of(expr: &'a Expr) -> Option<Self> {
        match without_groups(expr) {
            Expr::Path(path) => Some(Self { word: path.path.get_ident()?.clone(), arguments: None }),
            Expr::Call(call) => Some(Self { arguments: Some(&call.args), ..Self::of(&call.func)? }),
            _ => None,
        }
    }
}

/// Removes the invisible groups that a macro may have put around an expression.
fn without_groups(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(group) => without_groups(&group.expr),
        other => other,
    }
}
