//! Standard error: messages that aren't part of the answer, progress bars, and log lines that don't break them.

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pynenc_core::config::LoggingConfig;
use pynenc_engine::Result;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The progress bars and status lines of this process. They are hidden if standard error isn't a terminal.
static PROGRESS: LazyLock<MultiProgress> =
    LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)));

/// Prints a message such as `error: …` or `note: …`.
pub(crate) fn print(kind: &str, text: &str) {
    // If standard error is closed, there is no other place to report that.
    let _ = writeln!(io::stderr(), "{kind}: {text}");
}

/// Shows a progress bar with a rate and the time left.
pub(crate) fn progress_bar(length: u64, label: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:30} {human_pos}/{human_len} ({per_sec}, {eta} left)");
    let bar = ProgressBar::new(length).with_style(style.expect("a test parses this template")).with_message(label);
    PROGRESS.add(bar)
}

/// Shows a line with a spinner, whose text can be replaced.
pub(crate) fn status_line() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg}").expect("a test parses this template");
    let line = PROGRESS.add(ProgressBar::no_length().with_style(style));
    line.enable_steady_tick(Duration::from_millis(250));
    line
}

/// Whether standard error is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Sends log lines to standard error, above the progress bars. Keeps a subscriber that the program has installed
/// itself.
pub(crate) fn init_logging(config: &LoggingConfig) -> Result<()> {
    let layer = pynenc_builder::logging::layer(config, AboveProgress, is_terminal())?;
    let subscriber = tracing_subscriber::registry().with(layer);
    #[cfg(feature = "otel")]
    let subscriber = subscriber.with(pynenc_builder::otel::layer());
    let _ = subscriber.try_init();
    Ok(())
}

/// Writes to standard error above the progress bars.
#[derive(Debug, Clone, Copy)]
struct AboveProgress;

impl Write for AboveProgress {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        PROGRESS.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for AboveProgress {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_can_be_drawn() {
        progress_bar(10, "cancelled").inc(3);
        status_line().set_message("3 running");
    }
}
