//! The five stores in one SQLite file: durable work on one machine, without a server.
//!
//! The decisions are those of [`pynenc_kv`]; this crate stores keys and values. Several processes can share the file.

mod checkpoint;
mod clock;
mod config;
mod connection;
mod error;
mod file;
mod location;
mod maintenance;
mod readers;
mod schema;
mod session;
mod sockets;
mod sql;
mod store;
mod worker;
mod writer;

pub use config::{Checkpoint, SqliteConfig, Synchronous};
pub use maintenance::Maintenance;
