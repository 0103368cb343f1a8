//! Tests of triggers over the stores in memory, under virtual time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod combining;
mod conditions;
mod crashes;
mod failing;
mod management;
mod schedules;
mod setup;
mod stores;
