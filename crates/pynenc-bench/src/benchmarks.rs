//! The list of benchmarks.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;

use pynenc::prelude::*;

use crate::backend::Backend;
use crate::measurement::Measurement;
use crate::{argument_cache, calls, parked, server_cost, triggers, worker_process, workflows};

/// A benchmark with one or several measurements.
pub(crate) struct Benchmark {
    pub(crate) name: &'static str,
    /// The number of threads of its runtime.
    pub(crate) threads: usize,
    /// Whether the benchmark supports a backend.
    pub(crate) applies: fn(&Backend) -> bool,
    pub(crate) run: fn(Arc<Backend>) -> Run,
}

type Run = Pin<Box<dyn Future<Output = Result<Vec<Measurement>>> + Send>>;

fn everywhere(_: &Backend) -> bool {
    true
}

fn on_redis(backend: &Backend) -> bool {
    matches!(backend, Backend::Redis(..))
}

fn in_memory(backend: &Backend) -> bool {
    matches!(backend, Backend::Memory)
}

fn stored(backend: &Backend) -> bool {
    !in_memory(backend)
}

/// Each line has the name, the number of threads, the backends, and the benchmark's future.
macro_rules! benchmarks {
    ($($name:ident: $threads:literal, $applies:ident, |$backend:ident| $run:expr;)+) => {
        /// Every benchmark, in the order of the table.
        pub(crate) const BENCHMARKS: &[Benchmark] = &[$(
            Benchmark {
                name: stringify!($name),
                threads: $threads,
                applies: $applies,
                run: |$backend| Box::pin(async move { $run.await }),
            },
        )+];
    };
}

benchmarks! {
    submit: 1, everywhere, |backend| calls::submit(&backend);
    submit_all: 2, everywhere, |backend| calls::submit_all(&backend);
    submit_64_producers: 2, everywhere, |backend| calls::submit_from_many(&backend);
    drain: 2, everywhere, |backend| calls::drain(&backend, calls::BACKLOG);
    drain_large_backlog: 2, everywhere, |backend| calls::drain(&backend, 1_000_000);
    latency: 1, everywhere, |backend| calls::latency(&backend);
    fibonacci: 1, everywhere, |backend| calls::nested(&backend);
    bytes: 1, stored, |backend| calls::bytes(&backend);
    trips: 2, on_redis, |backend| calls::round_trips(&backend);
    lifecycle: 2, on_redis, |backend| server_cost::lifecycle(&backend);
    worker: 2, on_redis, |backend| worker_process::resources(&backend);
    idle: 1, on_redis, |backend| calls::idle(&backend);
    beside_parked: 2, everywhere, |backend| parked::others(&backend);
    idle_beside_parked: 2, on_redis, |backend| parked::idle(&backend);
    unused_triggers: 2, everywhere, |backend| triggers::unused(&backend);
    reaction: 2, on_redis, |backend| triggers::reaction(&backend);
    workflow_step: 2, everywhere, |backend| workflows::recorded(&backend);
    workflow_replay: 2, everywhere, |backend| workflows::replay(&backend);
    workflows_asleep: 2, everywhere, |backend| workflows::suspended_runs(&backend);
    shared_argument: 2, on_redis, |backend| argument_cache::shared(&backend);
    serialized: 1, in_memory, |_backend| ready(argument_cache::serialized());
}
