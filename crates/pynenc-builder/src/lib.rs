//! Composes the crates that features switch on into an app.
//!
//! [`Pynenc::builder`] collects settings, plugins, tasks and states; [`PynencBuilder::build`] reads the configuration,
//! makes the components that it names, and gives a [`Pynenc`].

mod app;
pub mod backends;
mod builder;
#[cfg(feature = "logging")]
pub mod logging;

pub use app::{Pynenc, RunnerHandle};
pub use builder::{ArgCacheMode, PynencBuilder};
