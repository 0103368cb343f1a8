//! A `tracing` subscriber that follows the section `logging`: text or JSON, on standard error.
//!
//! A program with a `tracing` subscriber of its own doesn't need this module.

use std::io::IsTerminal;
use std::str::FromStr;

use pynenc_core::config::{LogFormat, LoggingConfig};
use pynenc_engine::{Error, Result};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use crate::app::Pynenc;

/// Installs a global `tracing` subscriber that follows the app's section `logging`.
///
/// With the feature `otel` it also exports the spans of the program, if OpenTelemetry is on.
///
/// The subscriber writes to standard error, with colors if that is a terminal. A subscriber that is already installed
/// stays.
///
/// # Errors
///
/// [`Error::Config`] for an invalid level.
///
/// ```no_run
/// # async fn main_() -> pynenc_engine::Result<()> {
/// let app = pynenc_builder::Pynenc::new().await?;
/// pynenc_builder::logging::init(&app)?;
/// # Ok(())
/// # }
/// ```
pub fn init(app: &Pynenc) -> Result<()> {
    let config = &app.settings().logging;
    let subscriber =
        tracing_subscriber::registry().with(layer(config, std::io::stderr, std::io::stderr().is_terminal())?);
    #[cfg(feature = "otel")]
    let subscriber = subscriber.with(crate::otel::layer());
    // The error means that the program has already installed a subscriber, which stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

/// Returns the layer that [`init`] installs, for a subscriber of your own. The layer writes to `writer`.
///
/// # Errors
///
/// As [`init`].
pub fn layer<S, W>(config: &LoggingConfig, writer: W, is_colored: bool) -> Result<Box<dyn Layer<S> + Send + Sync>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let levels = Targets::from_str(&config.level).map_err(|error| {
        let invalid = pynenc_core::Error::config("the setting `logging.level` has an invalid value");
        Error::Config(invalid.with("found", &config.level).with("cause", &error).caused_by(error))
    })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    Ok(match config.format {
        LogFormat::Text => lines.with_ansi(is_colored).with_filter(levels).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).with_filter(levels).boxed(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    /// A writer into memory.
    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, format: LogFormat) -> String {
        let buffer = Buffer::default();
        let (config, writer) =
            (LoggingConfig { level: level.into(), format, ..LoggingConfig::default() }, buffer.clone());
        let subscriber = tracing_subscriber::registry().with(layer(&config, move || writer.clone(), false).unwrap());
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("attempt", invocation = 7);
            span.in_scope(|| tracing::info!(name = "ana", "hello"));
            tracing::debug!("whisper");
        });
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_is_text_or_json() {
        let text = logged("info", LogFormat::Text);
        assert!(text.ends_with("hello name=\"ana\"\n") && text.contains("attempt{invocation=7}"), "{text}");
        let line: serde_json::Value = serde_json::from_str(&logged("info", LogFormat::Json)).unwrap();
        assert_eq!((&line["message"], &line["name"]), (&"hello".into(), &"ana".into()));
        assert_eq!(line["span"]["invocation"], 7);
    }

    #[test]
    fn a_module_can_have_its_own_level() {
        assert_eq!(logged("info", LogFormat::Text).lines().count(), 1);
        assert_eq!(logged("off,pynenc_builder::logging=debug", LogFormat::Text).lines().count(), 2);
        assert_eq!(logged("error", LogFormat::Text), "");
    }
}
