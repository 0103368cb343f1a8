//! What a body returns: a value or a `Result`, told apart by type.

use std::error::Error as StdError;
use std::marker::PhantomData;
use std::time::Duration;

use pynenc_core::{Serializer, SerializerExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Retry};

/// Asks whether a return type is a `Result`: an inherent constant on `Ret<Result<T, E>>` shadows the trait's.
#[derive(Debug)]
pub struct Ret<R>(PhantomData<R>);

/// The answer for every type that isn't a `Result`.
pub trait Infallible {
    /// Whether the type is a `Result`.
    const FALLIBLE: bool = false;
}

impl<R> Infallible for Ret<R> {}

impl<T, E> Ret<std::result::Result<T, E>> {
    /// Whether the type is a `Result`: it is.
    pub const FALLIBLE: bool = true;
}

/// A return type as a `Result`; the parameter says whether it is one already.
#[diagnostic::on_unimplemented(
    message = "a task can't return `{Self}`",
    note = "return a value, or a `Result` whose error converts into `Box<dyn Error + Send + Sync>`"
)]
pub trait Returns<const FALLIBLE: bool> {
    /// The value.
    type Output;
    /// The error.
    type Error: Into<Box<dyn StdError + Send + Sync>>;

    /// The value or the error.
    fn into_result(self) -> std::result::Result<Self::Output, Self::Error>;
}

impl<T> Returns<false> for T {
    type Output = T;
    type Error = std::convert::Infallible;

    fn into_result(self) -> std::result::Result<T, std::convert::Infallible> {
        Ok(self)
    }
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> Returns<true> for std::result::Result<T, E> {
    type Output = T;
    type Error = E;

    fn into_result(self) -> std::result::Result<T, E> {
        self
    }
}

/// An error type that tells which of its variants it is; the name becomes [`TaskError::kind`].
///
/// [`TaskError::kind`]: pynenc_core::record::TaskError::kind
pub trait VariantName {
    /// The variant's name.
    fn variant_name(&self) -> String;
}

/// Asks an error for its kind: the variant's name where the type tells it, the type's name elsewhere.
#[derive(Debug)]
pub struct KindOf<'a, E>(pub &'a E);

/// The answer of types with a [`VariantName`].
pub trait KindByVariant {
    /// The error's kind.
    fn kind(&self) -> String;
}

impl<E: VariantName> KindByVariant for KindOf<'_, E> {
    fn kind(&self) -> String {
        self.0.variant_name()
    }
}

/// The answer of all other types.
pub trait KindByType {
    /// The error's kind.
    fn kind(&self) -> String;
}

impl<E> KindByType for &KindOf<'_, E> {
    fn kind(&self) -> String {
        short_type_name(std::any::type_name::<E>()).to_owned()
    }
}

fn short_type_name(full: &str) -> &str {
    let path = full.split('<').next().unwrap_or(full);
    path.rsplit("::").next().unwrap_or(path)
}

/// Whether a body that failed wants to be run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryWish {
    /// As the task's options say.
    ByOptions,
    /// Not this error.
    Never,
    /// After this delay.
    After(Duration),
}

/// Why a body left no value.
#[derive(Debug)]
pub enum Failure {
    /// It returned an error.
    Returned {
        /// The error's kind.
        kind: String,
        /// Its message.
        message: String,
        /// The messages of its sources, nearest first.
        source_chain: Vec<String>,
        /// Whether to run it again.
        retry: RetryWish,
    },
    /// Its arguments can't be decoded.
    Arguments(pynenc_core::Error),
    /// A parameter can't be injected.
    Injection(Error),
    /// Its value can't be encoded, or can't be read back.
    Value(pynenc_core::Error),
}

/// What a body comes to: the encoded value, or why there is none.
pub type Finished = std::result::Result<Vec<u8>, Failure>;

/// Encodes what a body returned, and checks that it can be read; `judge` tells an error's kind and whether it is worth a
/// retry.
pub fn finish<R, const FALLIBLE: bool>(
    returned: R,
    serializer: &dyn Serializer,
    judge: impl FnOnce(&R::Error) -> (String, bool),
) -> Finished
where
    R: Returns<FALLIBLE>,
    R::Output: Serialize + DeserializeOwned,
{
    match returned.into_result() {
        Ok(value) => serializer.encode_readable(&value).map_err(Failure::Value),
        Err(error) => {
            let (kind, worth_a_retry) = judge(&error);
            Err(failure(kind, worth_a_retry, &*error.into()))
        }
    }
}

fn failure(kind: String, worth_a_retry: bool, error: &(dyn StdError + 'static)) -> Failure {
    let asked = chain(error).find_map(|error| error.downcast_ref::<Retry>());
    let retry = match asked {
        Some(retry) => retry.delay().map_or(RetryWish::ByOptions, RetryWish::After),
        None if worth_a_retry => RetryWish::ByOptions,
        None => RetryWish::Never,
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

    struct Named;

    impl VariantName for Named {
        fn variant_name(&self) -> String {
            "Declined".to_owned()
        }
    }

    #[test]
    fn results_are_told_from_values_through_aliases() {
        const { assert!(Ret::<Alias>::FALLIBLE && !Ret::<Vec<u8>>::FALLIBLE) };
    }

    #[test]
    fn kinds_come_from_variants_or_types() {
        assert_eq!(KindOf(&Named).kind(), "Declined");
        assert_eq!((&KindOf(&Outer(Retry::again()))).kind(), "Outer");
        assert_eq!((&KindOf(&Box::<Vec<u8>>::default())).kind(), "Box");
    }

    #[test]
    fn a_wish_to_retry_is_found_behind_other_errors() {
        let returned: Result<u8, Outer> = Err(Outer(Retry::after(Duration::from_secs(3)).because("busy")));
        let finished = finish::<_, true>(returned, &JsonSerializer, |_| ("Outer".into(), false));
        let Err(Failure::Returned { retry, source_chain, message, .. }) = finished else { panic!("{finished:?}") };
        assert_eq!(retry, RetryWish::After(Duration::from_secs(3)));
        assert_eq!((message.as_str(), source_chain), ("outer", vec!["busy".to_owned()]));
    }
}
