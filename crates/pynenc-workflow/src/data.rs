//! What is kept with a workflow.

use std::future::Future;

use pynenc_core::record::Payload;
use pynenc_core::{Digest, SerializerExt};
use pynenc_engine::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::kind;
use crate::operation::Operation;
use crate::workflow::Workflow;

/// The value is encoded at the call, so that it needn't live as long as the future.
pub(crate) fn set<T: Serialize + Sync + ?Sized>(
    workflow: &Workflow,
    key: &str,
    value: &T,
) -> impl Future<Output = Result<()>> + Send + use<T> {
    let encoded = workflow.run.serializer().and_then(|serializer| Ok(serializer.encode(&value)?));
    let digest = Digest::of(encoded.as_deref().unwrap_or_default());
    let operation = Operation::call(workflow, kind::SET_DATA, key, digest);
    async move {
        if operation.replayed().await?.is_some() {
            return Ok(());
        }
        let value = operation.fitting(encoded?)?;
        let (state, id) = (&operation.run.engine().parts().state, operation.run.workflow.id);
        let key = operation.name();
        operation.run.insisted(|| state.put_workflow_data(id, key, value.clone())).await?;
        operation.record(operation.encoded(&())?).await.map(drop)
    }
}

pub(crate) async fn get<T: Serialize + DeserializeOwned + Send>(operation: Operation) -> Result<Option<T>> {
    // Recorded as a list of at most one value: an option in an option couldn't be told from one that is missing.
    let read = |recorded| operation.value::<Vec<T>>(&recorded).map(|mut found| found.pop());
    if let Some(recorded) = operation.replayed().await? {
        return read(recorded);
    }
    let (state, id) = (&operation.run.engine().parts().state, operation.run.workflow.id);
    let found = operation.run.insisted(|| state.workflow_data(id, operation.name())).await?;
    let found: Vec<T> = match found {
        Some(Payload::Inline(bytes)) => vec![operation.run.serializer()?.decode_as(&bytes)?],
        Some(Payload::External { .. }) | None => Vec::new(),
    };
    read(operation.record(operation.encoded(&found)?).await?)
}
