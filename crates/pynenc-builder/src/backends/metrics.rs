//! The extension of the feature `metrics`.

use pynenc_core::config::Config;
use pynenc_engine::Result;
use pynenc_engine::task::{Attachments, TaskRegistry};
use pynenc_metrics::MetricsExtension;

pub(super) fn extension(config: &Config, _tasks: &TaskRegistry, _: &mut Attachments) -> Result<MetricsExtension> {
    MetricsExtension::new(config)
}
