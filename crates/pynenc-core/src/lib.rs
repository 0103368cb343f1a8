//! What a pynenc component must know, and nothing else.

pub mod config;
pub mod error;
