//! Settings in layers: defaults, a file, builder calls, the environment. A later layer overrides the earlier ones.
//!
//! Each crate owns a [`Section`] and reads it with [`Config::section`]. A wrong value, an unknown key and an unknown
//! section are errors. Each error names the key, its origin and the most similar known key.
//!
//! ```
//! use pynenc_core::config::{Config, RunnerConfig};
//!
//! let variables = [("PYNENC__RUNNER__CONCURRENCY".to_owned(), "8".to_owned())];
//! let config = Config::loader().without_file().set("runner.lease", "1m").environment(variables).load()?;
//! let runner: RunnerConfig = config.section()?;
//! assert_eq!((runner.concurrency, runner.lease.as_secs()), (8, 60));
//! # Ok::<(), pynenc_core::error::Error>(())
//! ```

mod configuration;
pub mod duration;
mod environment;
mod explain;
mod layer;
mod loader;
mod logging;
mod origin;
mod reader;
mod section;
mod sections;
mod tasks;
mod unknown_settings;

pub use configuration::Config;
pub use explain::Setting;
pub use layer::Value;
pub use loader::ConfigLoader;
pub use logging::{ArgumentPrinting, LogFormat, LoggingConfig};
pub use section::Section;
pub use sections::{AppConfig, ArgCacheConfig, RetentionConfig, RunnerConfig};

/// Every setting of the core with its default, as a commented file to start from.
pub const DEFAULT_FILE: &str = include_str!("../../pynenc.toml");

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests;
