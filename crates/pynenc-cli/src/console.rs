//! What a person sees beside the answer: progress, and logs that don't run through it.

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pynenc_core::config::LoggingConfig;
use pynenc_engine::Result;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// All that moves on this process's standard error; nothing does if that isn't a terminal.
static MOVING: LazyLock<MultiProgress> =
    LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)));

/// How far a command has come.
pub(crate) fn bar(length: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:30} {human_pos}/{human_len} ({per_sec}, {eta} left)");
    let bar = ProgressBar::new(length).with_style(style.expect("a test draws it")).with_message(what);
    MOVING.add(bar)
}

/// A line that is written over again and again.
pub(crate) fn line() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg}").expect("a test draws it");
    let line = MOVING.add(ProgressBar::no_length().with_style(style));
    line.enable_steady_tick(Duration::from_millis(250));
    line
}

pub(crate) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Logs on standard error, above whatever moves there. A program that listens already has decided how.
pub(crate) fn log(config: &LoggingConfig) -> Result<()> {
    let layer = pynenc_builder::logging::layer(config, Above, is_terminal())?;
    let _ = tracing_subscriber::registry().with(layer).try_init();
    Ok(())
}

/// Writes lines above what moves.
#[derive(Debug, Clone, Copy)]
struct Above;

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        MOVING.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for Above {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_can_be_drawn() {
        bar(10, "cancelled").inc(3);
        line().set_message("3 running");
    }
}
