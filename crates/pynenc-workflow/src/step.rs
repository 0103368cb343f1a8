//! Code that runs once.

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

/// The error as it is given in each run. A wish to be run again is the body's, and is given as it is.
fn failed<E>(operation: &Operation, error: &(dyn StdError + Send + Sync + 'static)) -> Result<Error> {
    let kind = std::any::type_name::<E>().split('<').next().unwrap_or_default().rsplit("::").next();
    let told = TaskError {
        kind: kind.unwrap_or_default().to_owned(),
        message: error.to_string(),
        source_chain: chain(error).skip(1).map(ToString::to_string).collect(),
        attempt: operation.run.context.attempt_number(),
    };
    let failed = operation.fail(told)?;
    let retry = chain(error).find_map(|error| error.downcast_ref::<Retry>());
    Ok(retry.map_or(failed, |retry| Error::Retry(retry.clone())))
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}
