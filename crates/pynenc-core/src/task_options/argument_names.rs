//! Lists of argument names in options.

use std::borrow::Cow;

use crate::suggestions::suggest_or_list;

/// A list of names that can be part of a constant.
pub type Names = Cow<'static, [Cow<'static, str>]>;

pub(super) fn owned(names: &Names) -> Vec<String> {
    names.iter().map(|name| name.clone().into_owned()).collect()
}

/// Checks that each name is one of the `known` arguments. The error is the end of a sentence about an option.
pub(super) fn check<'a>(names: impl IntoIterator<Item = &'a String>, known: &[&str]) -> Result<(), String> {
    match names.into_iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => {
            let advice = suggest_or_list(name, known.iter().copied());
            Err(format!("names `{name}`, which isn't an argument of the task; {advice}"))
        }
        None => Ok(()),
    }
}
