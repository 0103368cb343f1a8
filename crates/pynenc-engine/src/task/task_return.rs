//! The return value of a task function: a value, or a `Result`; the return type says which.

use std::error::Error as StdError;
use std::marker::PhantomData;
use std::time::Duration;

use pynenc_core::{Serializer, SerializerExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Retry};

/// Says whether a return type is a `Result`: the inherent constant of `ReturnType<Result<T, E>>` shadows the trait's.
#[derive(Debug)]
pub struct ReturnType<R>(PhantomData<R>);

/// The answer for every type that isn't a `Result`.
pub trait Infallible {
    /// Whether the type is a `Result`.
    const FALLIBLE: bool = false;
}

impl<R> Infallible for ReturnType<R> {}

impl<T, E> ReturnType<std::result::Result<T, E>> {
    /// Whether the type is a `Result`: it is.
    pub const FALLIBLE: bool = true;
}

/// A return type, converted into a `Result`. `FALLIBLE` says whether it is a `Result` already.
#[diagnostic::on_unimplemented(
    message = "a task can't return `{Self}`",
    note = "return a value, or a `Result` whose error converts into `Box<dyn Error + Send + Sync>`"
)]
pub trait TaskReturn<const FALLIBLE: bool> {
    /// The value.
    type Output;
    /// The error.
    type Error: Into<Box<dyn StdError + Send + Sync>>;

    /// Converts the return value.
    fn into_result(self) -> std::result::Result<Self::Output, Self::Error>;
}

impl<T> TaskReturn<false> for T {
    type Output = T;
    type Error = std::convert::Infallible;

    fn into_result(self) -> std::result::Result<T, std::convert::Infallible> {
        Ok(self)
    }
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> TaskReturn<true> for std::result::Result<T, E> {
    type Output = T;
    type Error = E;

    fn into_result(self) -> std::result::Result<T, E> {
        self
    }
}

/// Whether an error asks for a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryRequest {
    /// A retry with the back-off of the task's options.
    ByOptions,
    /// No retry.
    Never,
    /// A retry after this delay.
    After(Duration),
}

/// Why a task function left no value.
#[derive(Debug)]
pub enum Failure {
    /// The task function returned an error.
    Returned {
        /// The error's kind.
        kind: String,
        /// Its message.
        message: String,
        /// The messages of its sources, the direct cause first.
        source_chain: Vec<String>,
        /// Whether the error asks for a retry.
        retry: RetryRequest,
    },
    /// The arguments can't be decoded.
    Arguments(pynenc_core::Error),
    /// A parameter can't be injected.
    Injection(Error),
    /// The value can't be encoded, or the encoded value can't be decoded again.
    Value(pynenc_core::Error),
}

/// The result of a task function: the encoded value, or the reason why there is none.
pub type Finished = std::result::Result<Vec<u8>, Failure>;

/// Encodes a task function's return value and checks that the encoded value can be decoded. `classify` gives an error's
/// kind and says whether the error is worth a retry.
pub fn finish<R, const FALLIBLE: bool>(
    returned: R,
    serializer: &dyn Serializer,
    classify: impl FnOnce(&R::Error) -> (String, bool),
) -> Finished
where
    R: TaskReturn<FALLIBLE>,
    R::Output: Serialize + DeserializeOwned,
{
    match returned.into_result() {
        Ok(value) => serializer.encode_readable(&value).map_err(Failure::Value),
        Err(error) => {
            let (kind, worth_a_retry) = classify(&error);
            Err(failure(kind, worth_a_retry, &*error.into()))
        }
    }
}

fn failure(kind: String, worth_a_retry: bool, error: &(dyn StdError + 'static)) -> Failure {
    let asked = chain(error).find_map(|error| error.downcast_ref::<Retry>());
    let retry = match asked {
        Some(retry) => retry.delay().map_or(RetryRequest::ByOptions, RetryRequest::After),
        None if worth_a_retry => RetryRequest::ByOptions,
        None => RetryRequest::Never,
    };
    Failure::Returned {
        kind,
        message: error.to_string(),
        source_chain: chain(error).skip(1).map(ToString::to_string).collect(),
        retry,
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pynenc_core::serializer::JsonSerializer;

    type Alias = crate::error::Result<u8>;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Retry);

    #[test]
    fn a_result_is_recognized_behind_an_alias() {
        const { assert!(ReturnType::<Alias>::FALLIBLE && !ReturnType::<Vec<u8>>::FALLIBLE) };
    }

    #[test]
    fn a_retry_request_is_found_in_the_source_chain() {
        let returned: Result<u8, Outer> = Err(Outer(Retry::after(Duration::from_secs(3)).because("busy")));
        let finished = finish::<_, true>(returned, &JsonSerializer, |_| ("Outer".into(), false));
        let Err(Failure::Returned { retry, source_chain, message, .. }) = finished else { panic!("{finished:?}") };
        assert_eq!(retry, RetryRequest::After(Duration::from_secs(3)));
        assert_eq!((message.as_str(), source_chain), ("outer", vec!["busy".to_owned()]));
    }
}
