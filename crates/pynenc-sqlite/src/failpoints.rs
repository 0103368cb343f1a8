//! The end of the process at a commit, for tests.
//!
//! `PYNENC_ABORT_BEFORE_COMMIT=7` ends the process without warning before its seventh commit,
//! `PYNENC_ABORT_AFTER_COMMIT=7` behind it, before anybody learns of it.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

static COMMITS: AtomicU64 = AtomicU64::new(0);
static BEFORE: LazyLock<Option<u64>> = LazyLock::new(|| number("PYNENC_ABORT_BEFORE_COMMIT"));
static AFTER: LazyLock<Option<u64>> = LazyLock::new(|| number("PYNENC_ABORT_AFTER_COMMIT"));

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

pub(crate) fn before_commit() {
    let commit = COMMITS.fetch_add(1, Ordering::Relaxed) + 1;
    if *BEFORE == Some(commit) {
        std::process::abort();
    }
}

pub(crate) fn after_commit() {
    if *AFTER == Some(COMMITS.load(Ordering::Relaxed)) {
        std::process::abort();
    }
}
