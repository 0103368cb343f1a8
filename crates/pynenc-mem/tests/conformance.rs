//! Conformance of the stores in memory.

use pynenc_mem::{MemArgCache, MemBroker, MemOrchestrator, MemStateBackend, MemTriggerStore};

pynenc_testkit::arg_cache_conformance!(async |clock| MemArgCache::new(clock));
pynenc_testkit::broker_conformance!(async |clock| MemBroker::new(clock));
pynenc_testkit::orchestrator_conformance!(async |clock| MemOrchestrator::new(clock));
pynenc_testkit::state_backend_conformance!(async |clock| MemStateBackend::new(clock));
pynenc_testkit::trigger_store_conformance!(async |clock| MemTriggerStore::new(clock));
