//! The section `logging`.

use serde::{Deserialize, Serialize};

use super::section::Section;
use crate::error::{Error, Result};
use crate::text_enum::text_enum;

/// The section `logging`: which events are logged, and in which form.
///
/// The engine always emits its events through `tracing`. `level` and `format` apply only if the command line or
/// `pynenc::logging` installs the subscriber.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoggingConfig {
    /// The minimum level, and optionally other levels for single modules: `info,my_tasks=debug`.
    pub level: String,
    /// The format of a line.
    pub format: LogFormat,
    /// How the arguments of calls are logged.
    pub arguments: ArgumentPrinting,
    /// How many characters of an argument are logged if arguments are truncated.
    pub argument_length: usize,
}

impl Default for LoggingConfig {
    fn default() -> Self {
        Self {
            level: "info".into(),
            format: LogFormat::Text,
            arguments: ArgumentPrinting::Truncated,
            argument_length: 32,
        }
    }
}

impl Section for LoggingConfig {
    const NAME: &'static str = "logging";

    fn validate(&self) -> Result<()> {
        match self.level.split(',').find(|part| !is_directive(part.trim())) {
            None => Ok(()),
            Some(part) => {
                let message =
                    "the setting `logging.level` has an unknown level: use off, error, warn, info, debug or trace";
                Err(Error::config(message).with("found", part).with("example", "info,my_tasks=debug"))
            }
        }
    }
}

fn is_directive(text: &str) -> bool {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let (module, level) = text.rsplit_once('=').unwrap_or(("all modules", text));
    !module.is_empty() && LEVELS.contains(&level.to_ascii_lowercase().as_str())
}

text_enum!(
    /// The format of a log line.
    #[derive(Default)]
    LogFormat, "log format" {
        /// For people.
        #[default]
        Text = "text",
        /// For programs: one JSON object per line.
        Json = "json",
    }
);

text_enum!(
    /// How the arguments of a call are logged.
    #[derive(Default)]
    ArgumentPrinting, "way to log arguments" {
        /// Names and values.
        Full = "full",
        /// Names only.
        Names = "names",
        /// Names, and the beginning of each value.
        #[default]
        Truncated = "truncated",
        /// Neither names nor values.
        Hidden = "hidden",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(level: &str, is_valid: bool) {
        let config = LoggingConfig { level: level.into(), ..LoggingConfig::default() };
        assert_eq!(config.validate().is_ok(), is_valid, "{level}");
    }

    #[test]
    fn a_level_can_be_set_for_single_modules() {
        check("info", true);
        check("WARN, my_tasks::jobs=trace,redis=off", true);
        check("loud", false);
        check("info,=debug", false);
        check("", false);
    }
}
