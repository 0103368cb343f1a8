//! Steps: code whose value is recorded.

use std::error::Error as StdError;
use std::future::Future;

use pynenc_core::record::TaskError;
use pynenc_engine::{Error, Result, Retry};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::operation::Operation;

pub(crate) async fn step<T, E, F>(operation: Operation, code: impl FnOnce() -> F + Send) -> Result<T>
where
    T: Serialize + DeserializeOwned + Send,
    E: Into<Box<dyn StdError + Send + Sync>> + Send,
    F: Future<Output = std::result::Result<T, E>> + Send,
{
    if let Some(recorded) = operation.replayed().await? {
        return operation.value(&recorded);
    }
    match code().await {
        Ok(value) => operation.record(operation.encoded(&value)?).await.and_then(|recorded| operation.value(&recorded)),
        Err(error) => Err(failed::<E>(&operation, &*error.into())?),
    }
}

/// Converts the code's error to the form that each run gets. A [`Retry`] is returned as it is, because it asks for a
/// retry of the task function.
fn failed<E>(operation: &Operation, error: &(dyn StdError + Send + Sync + 'static)) -> Result<Error> {
    let kind = std::any::type_name::<E>().split('<').next().unwrap_or_default().rsplit("::").next();
    let failure = operation.fail(TaskError {
        kind: kind.unwrap_or_default().to_owned(),
        message: error.to_string(),
        source_chain: chain(error).skip(1).map(ToString::to_string).collect(),
        attempt: operation.run.context.attempt_number(),
    })?;
    let retry = chain(error).find_map(|error| error.downcast_ref::<Retry>());
    Ok(retry.map_or(failure, |retry| Error::Retry(retry.clone())))
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}
