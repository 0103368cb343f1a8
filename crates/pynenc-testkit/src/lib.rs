//! Test tools for pynenc components: conformance suites, a crash simulation and failing components.
//!
//! The [`conformance`] suites check a component against its trait: one trial for each line of the trait's `# Behavior`
//! lists, in the same words. A component's own crate runs a suite with one line:
//!
//! ```
//! # use std::sync::Arc;
//! # use std::time::Duration;
//! # use bytes::Bytes;
//! # use pynenc_core::{ArgCache, Clock, Component, Digest, Result, async_trait};
//! # #[derive(Debug, Default)]
//! # struct MyCache(std::sync::Mutex<std::collections::BTreeMap<Digest, Bytes>>);
//! # impl MyCache { fn new(_: Arc<dyn Clock>) -> Self { Self::default() } }
//! # #[async_trait]
//! # impl ArgCache for MyCache {
//! #     async fn renew(&self, d: &[Digest], _: Duration) -> Result<Vec<bool>> {
//! #         Ok(d.iter().map(|digest| self.0.lock().unwrap().contains_key(digest)).collect())
//! #     }
//! #     async fn put(&self, d: Digest, c: Bytes, _: Duration) -> Result<()> { self.0.lock().unwrap().insert(d, c); Ok(()) }
//! #     async fn get(&self, d: Digest, _: Duration) -> Result<Option<Bytes>> { Ok(self.0.lock().unwrap().get(&d).cloned()) }
//! #     async fn remove(&self, d: Digest) -> Result<()> { self.0.lock().unwrap().remove(&d); Ok(()) }
//! # }
//! # #[async_trait]
//! # impl Component for MyCache {
//! #     async fn purge(&self) -> Result<()> { self.0.lock().unwrap().clear(); Ok(()) }
//! # }
//! pynenc_testkit::arg_cache_conformance!(async |clock| MyCache::new(clock));
//! ```
//!
//! The feature `redis` adds tools for tests with real processes. A `RedisServer` is a private server for one test, a
//! `Proxy` is a network link that can fail, a `TestProcess` is a worker that a test can kill. Task functions write to a
//! `Ledger`, a file outside of every store. The `oracles` report which promises a scenario broke.
//!
//! A [`ChaosBroker`] loses and repeats hints, which a broker is allowed to do. The [`failing`] components fail at a
//! chosen call. The [`simulation`] runs a simulated system in which every component fails at random.

pub mod chaos;
pub mod conformance;
pub mod failing;
#[cfg(feature = "redis")]
mod ledger;
#[cfg(feature = "redis")]
pub mod oracles;
#[cfg(feature = "redis")]
mod process;
#[cfg(feature = "redis")]
mod proxy;
#[cfg(feature = "redis")]
mod redis_server;
pub mod simulation;
mod time;
mod wrap;

pub use chaos::ChaosBroker;
#[cfg(feature = "redis")]
pub use ledger::{Ledger, Note};
#[cfg(feature = "redis")]
pub use process::{TestProcess, signal, without_xfsz};
#[cfg(feature = "redis")]
pub use proxy::{Direction, Fault, Flow, Proxy};
pub use pynenc_core::clock::ManualClock;
#[cfg(feature = "redis")]
pub use redis_server::{RedisServer, RedisServerOptions, free_port};
pub use time::{ThreadTime, Time};
