//! Apps that keep everything in the memory of one process, out of reach of other processes.

use pynenc_core::component::StoreId;
use pynenc_engine::Engine;

/// Whether the orchestrator of this app is in the memory of this process.
pub(crate) fn is_in_memory(app: &Engine) -> bool {
    app.parts().orchestrator.store_id() == Some(StoreId::of_this_process())
}
