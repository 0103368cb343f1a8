//! The compared systems, and the columns of their tables.

use crate::backend::BackendKind;
use crate::calls;

/// A system with one set of settings: a row of the table.
pub(super) struct System {
    pub(super) title: &'static str,
    pub(super) backend: BackendKind,
    /// The program in the folder `peers`; `None` for this system.
    pub(super) program: Option<&'static str>,
    /// The argument that selects the settings.
    pub(super) variant: &'static str,
    /// The measured benchmarks.
    pub(super) benchmarks: &'static [&'static str],
    /// The calls of each benchmark, if the system is too slow for those of the column.
    pub(super) calls: Option<usize>,
    /// The state that the system keeps.
    pub(super) keeps: &'static str,
}

/// Every system, with this one before the others of its backend.
pub(super) const SYSTEMS: &[System] = &[
    System {
        title: "pynenc",
        backend: BackendKind::Redis,
        program: None,
        variant: "",
        benchmarks: &["submit", "submit_64_producers", "submit_all", "drain"],
        calls: None,
        keeps: "state, history, result; work of killed workers",
    },
    System {
        title: "rusty-sidekiq 0.15.2, 80 connections",
        backend: BackendKind::Redis,
        program: Some("rusty-sidekiq"),
        variant: "default",
        benchmarks: &["submit", "submit_64_producers", "drain"],
        calls: None,
        keeps: "nothing: work of killed workers is lost",
    },
    System {
        title: "oxana 2.5.0, 80 connections",
        backend: BackendKind::Redis,
        program: Some("oxana"),
        variant: "default",
        benchmarks: &["submit", "submit_64_producers", "submit_all", "drain"],
        calls: None,
        keeps: "work of killed workers",
    },
    System {
        title: "apalis-redis 1.0.0, batches of 2,000, without locks and events",
        backend: BackendKind::Redis,
        program: Some("apalis"),
        variant: "tuned",
        benchmarks: &["submit", "submit_64_producers", "submit_all", "drain"],
        calls: None,
        keeps: "result",
    },
    System {
        title: "apalis-redis 1.0.0, batches of 2,000",
        backend: BackendKind::Redis,
        program: Some("apalis"),
        variant: "locked",
        benchmarks: &["drain"],
        calls: None,
        keeps: "result; work of killed workers",
    },
    System {
        title: "apalis-redis 1.0.0, default settings",
        backend: BackendKind::Redis,
        program: Some("apalis"),
        variant: "default",
        benchmarks: &["drain"],
        calls: None,
        keeps: "the same",
    },
    System {
        title: "pynenc, NORMAL",
        backend: BackendKind::Sqlite,
        program: None,
        variant: "",
        benchmarks: &["submit", "submit_64_producers", "submit_all", "drain"],
        calls: None,
        keeps: "state, history, result; work of killed workers",
    },
    System {
        title: "apalis-sqlite 1.0.0, NORMAL, batches of 2,000, without locks",
        backend: BackendKind::Sqlite,
        program: Some("apalis-sqlite"),
        variant: "tuned",
        benchmarks: &["submit", "submit_64_producers", "submit_all"],
        calls: None,
        keeps: "result; work of killed workers",
    },
    System {
        title: "apalis-sqlite 1.0.0, NORMAL, default batches and locks, 2,000 calls",
        backend: BackendKind::Sqlite,
        program: Some("apalis-sqlite"),
        variant: "default",
        benchmarks: &["drain"],
        calls: Some(2_000),
        keeps: "the same",
    },
    System {
        title: "rustvello-sqlite 0.9.0, NORMAL, a worker per core, 3,200 calls",
        backend: BackendKind::Sqlite,
        program: Some("rustvello-sqlite"),
        variant: "default",
        benchmarks: &["submit", "submit_64_producers", "drain"],
        calls: Some(3_200),
        keeps: "state, history, result; work of killed workers",
    },
    System {
        title: "rustvello-sqlite 0.9.0, NORMAL, 64 workers, 3,200 calls",
        backend: BackendKind::Sqlite,
        program: Some("rustvello-sqlite"),
        variant: "slots",
        benchmarks: &["drain"],
        calls: Some(3_200),
        keeps: "the same",
    },
];

/// A column of the table.
pub(super) struct Column {
    pub(super) benchmark: &'static str,
    pub(super) title: &'static str,
    pub(super) calls: usize,
}

pub(super) const COLUMNS: &[Column] = &[
    Column { benchmark: "submit", title: "single submits", calls: calls::SUBMITS },
    Column { benchmark: "submit_64_producers", title: "64 producers", calls: calls::CONCURRENT_SUBMITS },
    Column { benchmark: "submit_all", title: "bulk submits", calls: calls::BULK_SUBMITS },
    Column { benchmark: "drain", title: "drain", calls: calls::BACKLOG },
];

/// The systems of a backend.
pub(super) fn on(backend: BackendKind) -> impl Iterator<Item = &'static System> {
    SYSTEMS.iter().filter(move |system| system.backend == backend)
}
