//! What keeps strangers out: rights of a user on a server, certificates, and secrets that nobody is told.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod altered;
mod certificates;
mod rights;
mod secrets;
mod strangers;
