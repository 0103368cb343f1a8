//! Tests of security: server permissions, certificates, secrets and the isolation of apps.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod acl;
mod app_isolation;
mod certificates;
mod secrets;
mod tampering;
