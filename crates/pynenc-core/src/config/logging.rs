//! What is logged, and how.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Section;
use crate::error::{Error, Result};

/// What is logged, in the section `logging`.
///
/// The engine tells what it does through `tracing`, whoever listens. The level and the format are for who installs the
/// listener: the command line, and `pynenc::logging`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoggingConfig {
    /// The least level that is told, and others for single modules: `info,my_tasks=debug`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
    /// What is told of arguments.
    pub arguments: ArgumentPrinting,
    /// How many characters of an argument are told, where they are truncated.
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
                let error = Error::config("the setting `logging.level` must be off, error, warn, info, debug or trace");
                Err(error.with("found", part).with("example", "info,my_tasks=debug"))
            }
        }
    }
}

fn is_directive(text: &str) -> bool {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let (module, level) = text.rsplit_once('=').unwrap_or(("everything", text));
    !module.is_empty() && LEVELS.contains(&level.to_ascii_lowercase().as_str())
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text),+ })
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(Error::invalid("unknown word").with("found", text).with("known", [$($text),+].join(", "))),
                }
            }
        }
    };
}

words!(
    /// How a line of the log looks.
    LogFormat {
        /// For people.
        #[default]
        Text = "text",
        /// For programs: an object a line.
        Json = "json",
    }
);

words!(
    /// What is told of a call's arguments.
    ArgumentPrinting {
        /// Names and values.
        Full = "full",
        /// Names alone.
        Names = "names",
        /// Names, and the beginning of each value.
        #[default]
        Truncated = "truncated",
        /// Nothing.
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
    fn a_level_may_have_others_for_modules() {
        check("info", true);
        check("WARN, my_tasks::jobs=trace,redis=off", true);
        check("loud", false);
        check("info,=debug", false);
        check("", false);
    }
}
