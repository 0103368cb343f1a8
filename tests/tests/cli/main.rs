//! Tests of the command line as a process: its output for people and for programs, and its exit codes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cancel_and_retry;
mod database;
mod exit_codes;
mod logs;
#[cfg(unix)]
mod metrics;
mod program;
mod queries;
#[cfg(unix)]
mod terminal;
#[cfg(unix)]
mod top;
#[cfg(unix)]
mod web;
mod workers;
mod workflows;
