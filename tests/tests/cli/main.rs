//! The command line, as processes: what it answers, to people and to programs, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod changes;
mod ends;
mod logs;
mod program;
mod workers;
mod workflows;
