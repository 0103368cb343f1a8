//! Tests of the HTTP API and the web monitor, over a real listener.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod api;
mod openapi;
mod pages;
mod scripts;
mod setup;
mod streams;
