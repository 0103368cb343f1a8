//! Logs as the section `logging` says: text or JSON, on standard error.
//!
//! A program that has a `tracing` subscriber of its own needs none of this.

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

/// Has the whole program log as the app's section `logging` says. A subscriber that is there already stays.
///
/// Lines go to standard error, in colour if that is a terminal.
///
/// # Errors
///
/// [`Error::Config`] for a level that isn't one.
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
    // A program that listens already has decided how.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

/// The layer that [`init`] installs, for a subscriber of one's own: lines go to `writer`.
///
/// # Errors
///
/// As [`init`].
pub fn layer<S, W>(config: &LoggingConfig, writer: W, is_coloured: bool) -> Result<Box<dyn Layer<S> + Send + Sync>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let levels = Targets::from_str(&config.level).map_err(|error| {
        let fault = pynenc_core::Error::config("the setting `logging.level` isn't understood").caused_by(error);
        Error::Config(fault.with("found", &config.level))
    })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    Ok(match config.format {
        LogFormat::Text => lines.with_ansi(is_coloured).with_filter(levels).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).with_filter(levels).boxed(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, format: LogFormat) -> String {
        let kept = Kept::default();
        let (config, writer) =
            (LoggingConfig { level: level.into(), format, ..LoggingConfig::default() }, kept.clone());
        let subscriber = tracing_subscriber::registry().with(layer(&config, move || writer.clone(), false).unwrap());
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("attempt", invocation = 7);
            span.in_scope(|| tracing::info!(name = "ana", "hello"));
            tracing::debug!("whisper");
        });
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_is_for_people_or_for_programs() {
        let text = logged("info", LogFormat::Text);
        assert!(text.ends_with("hello name=\"ana\"\n") && text.contains("attempt{invocation=7}"), "{text}");
        let line: serde_json::Value = serde_json::from_str(&logged("info", LogFormat::Json)).unwrap();
        assert_eq!((&line["message"], &line["name"]), (&"hello".into(), &"ana".into()));
        assert_eq!(line["span"]["invocation"], 7);
    }

    #[test]
    fn levels_are_kept_for_modules_too() {
        assert_eq!(logged("info", LogFormat::Text).lines().count(), 1);
        assert_eq!(logged("off,pynenc_builder::logging=debug", LogFormat::Text).lines().count(), 2);
        assert_eq!(logged("error", LogFormat::Text), "");
    }
}
