//! What users are promised, through the public API: over the components in memory, and over Redis.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod calling;
mod cancelling;
mod concurrency;
mod delays;
mod extremes;
mod failing;
mod lifecycle;
mod place;
mod plain_bodies;
mod retrying;
mod setup;
mod synchronous;
mod taken_hints;
mod traces;
mod unreadable;
mod untyped;
mod waiting;
mod why;
mod workflows;
