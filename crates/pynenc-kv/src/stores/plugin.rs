//! The plugin that adds the components over a key-value store to an app.

use std::sync::{Arc, OnceLock};

use pynenc_core::{ComponentContext, Components, Plugin};

use crate::stores::arg_cache::KvArgCache;
use crate::stores::broker::KvBroker;
use crate::stores::key_value::KeyValue;
use crate::stores::orchestrator::KvOrchestrator;
use crate::stores::state_backend::KvStateBackend;
use crate::stores::store::KvStore;
use crate::stores::trigger_store::KvTriggerStore;

/// Registers the five components over a key-value store, each as `pynenc_kv::` and its name.
#[derive(Debug, Clone)]
pub struct KvPlugin {
    data: Arc<dyn KeyValue>,
    /// The store with the clock of the app, which is known when the first component is created.
    store: Arc<OnceLock<KvStore>>,
}

impl KvPlugin {
    /// Creates a plugin for one app, whose components share `data`.
    pub fn new(data: impl KeyValue) -> Self {
        Self { data: Arc::new(data), store: Arc::default() }
    }

    fn store(&self, context: ComponentContext) -> KvStore {
        self.store.get_or_init(|| KvStore::new(self.data.clone(), context.clock)).clone()
    }
}

impl Plugin for KvPlugin {
    fn register(&self, components: &mut Components) {
        let plugin = self.clone();
        components.broker("pynenc_kv::KvBroker", move |context| {
            let store = plugin.store(context);
            async move { Ok(KvBroker::new(store)) }
        });
        let plugin = self.clone();
        components.orchestrator("pynenc_kv::KvOrchestrator", move |context| {
            let store = plugin.store(context);
            async move { Ok(KvOrchestrator::new(store)) }
        });
        let plugin = self.clone();
        components.state_backend("pynenc_kv::KvStateBackend", move |context| {
            let store = plugin.store(context);
            async move { Ok(KvStateBackend::new(store)) }
        });
        let plugin = self.clone();
        components.trigger_store("pynenc_kv::KvTriggerStore", move |context| {
            let store = plugin.store(context);
            async move { Ok(KvTriggerStore::new(store)) }
        });
        let plugin = self.clone();
        components.arg_cache("pynenc_kv::KvArgCache", move |context| {
            let store = plugin.store(context);
            async move { Ok(KvArgCache::new(store)) }
        });
    }
}
