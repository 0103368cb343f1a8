//! Reading invocations by their ids.

use pynenc_core::orchestrator::Tracked;
use pynenc_core::{InvocationId, Result};

use crate::client::Client;
use crate::entry::tracked;
use crate::keys::Key;

/// Reads invocations. An unknown one gives `None`.
pub(crate) async fn read(client: &Client, ids: &[InvocationId]) -> Result<Vec<Option<Tracked>>> {
    let keys = ids.iter().map(|id| client.key_of(Key::Entry, id.as_bytes())).collect();
    let entries = ids.iter().zip(client.values(keys).await?);
    entries.map(|(id, raw)| raw.map(|raw| tracked(*id, &raw)).transpose()).collect()
}
