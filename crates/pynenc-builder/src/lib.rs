//! Builds an app from the crates that features turn on.
//!
//! [`Pynenc::builder`] collects settings, plugins, tasks and states. [`PynencBuilder::build`] reads the configuration,
//! creates the components that the settings name, and returns the app, a [`Pynenc`].

mod app;
pub mod backends;
mod builder;
#[cfg(feature = "logging")]
pub mod logging;
#[cfg(feature = "otel")]
pub mod otel;

pub use app::{Pynenc, RunnerHandle};
#[cfg(feature = "sqlite")]
pub use app::{SqliteApp, Submitted};
pub use builder::{ArgCacheMode, PynencBuilder};
