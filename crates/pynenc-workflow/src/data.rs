//! Values that are stored with a workflow.

use std::future::Future;

use pynenc_core::record::Payload;
use pynenc_core::{Digest, SerializerExt};
use pynenc_engine::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::operation::{Branch, Operation};
use crate::operation_kind;

/// Stores a value. It is encoded at the call, so that it needn't live as long as the future.
pub(crate) fn set<T: Serialize + Sync + ?Sized>(
    branch: &Branch,
    key: &str,
    value: &T,
) -> impl Future<Output = Result<()>> + Send + use<T> {
    let encoded = branch.run.serializer().and_then(|serializer| Ok(serializer.encode(&value)?));
    let digest = Digest::of(encoded.as_deref().unwrap_or_default());
    let operation = branch.operation(operation_kind::SET_DATA, key, digest);
    async move {
        if operation.replayed().await?.is_some() {
            return Ok(());
        }
        let value = operation.payload(encoded?)?;
        let (state, id) = (&operation.run.engine().parts().state, operation.run.workflow.id);
        let key = operation.name();
        operation.run.until_available(|| state.put_workflow_data(id, key, value.clone())).await?;
        operation.record(operation.encoded(&())?).await.map(drop)
    }
}

/// Reads a value.
pub(crate) async fn get<T: Serialize + DeserializeOwned + Send>(operation: Operation) -> Result<Option<T>> {
    // The journal has a list of at most one value, because the encoding of `Some(None)` is that of `None`.
    let read = |recorded| operation.value::<Vec<T>>(&recorded).map(|mut found| found.pop());
    if let Some(recorded) = operation.replayed().await? {
        return read(recorded);
    }
    let (state, id) = (&operation.run.engine().parts().state, operation.run.workflow.id);
    let found = operation.run.until_available(|| state.workflow_data(id, operation.name())).await?;
    let found: Vec<T> = match found {
        Some(Payload::Inline(bytes)) => vec![operation.run.serializer()?.decode_as(&bytes)?],
        Some(Payload::External { .. }) | None => Vec::new(),
    };
    read(operation.record(operation.encoded(&found)?).await?)
}
