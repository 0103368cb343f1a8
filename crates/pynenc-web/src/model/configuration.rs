//! The settings of the app.

use serde::Serialize;
use utoipa::ToSchema;

use crate::state::WebState;

/// A setting with its value and its origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Setting {
    #[schema(example = "runner.concurrency")]
    pub(crate) key: String,
    /// The value; `***` for a secret.
    pub(crate) value: String,
    /// `default`, the file, `builder`, the variable, or `command line`.
    pub(crate) source: String,
}

/// The settings of the server's process.
pub(crate) fn settings(state: &WebState) -> Vec<Setting> {
    let settings = state.settings.iter().cloned();
    settings.map(|setting| Setting { key: setting.key, value: setting.value, source: setting.source }).collect()
}
