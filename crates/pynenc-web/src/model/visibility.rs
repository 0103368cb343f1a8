//! Shows arguments, results and error messages as the setting `web.arguments` says.

use pynenc_core::config::ArgumentPrinting;
use pynenc_core::record::InvocationRecord;
use serde_json::Value;

use crate::state::WebState;

impl WebState {
    /// The arguments of a call as one line of text; `None` if they are hidden.
    pub(super) fn argument_text(&self, record: &InvocationRecord) -> Option<String> {
        let length = self.app.settings().logging.argument_length;
        let is_shown = self.arguments != ArgumentPrinting::Hidden;
        is_shown.then(|| self.app.format_arguments(record, self.arguments, length))
    }

    /// The arguments of a call as JSON; `None` unless they are shown in full.
    pub(super) async fn argument_values(&self, record: &InvocationRecord) -> Option<Value> {
        if self.arguments != ArgumentPrinting::Full {
            return None;
        }
        match self.app.json_arguments(record).await {
            Ok(arguments) => Some(Value::Object(arguments)),
            Err(error) => Some(Value::from(format!("unavailable: {error}"))),
        }
    }

    /// A value such as a result; `None` if it is hidden.
    pub(super) fn value(&self, value: Value) -> Option<Value> {
        match self.arguments {
            ArgumentPrinting::Full => Some(value),
            ArgumentPrinting::Truncated => {
                let text = value.to_string();
                let short = self.text(&text)?;
                Some(if short.len() < text.len() { Value::from(short) } else { value })
            }
            ArgumentPrinting::Names | ArgumentPrinting::Hidden => None,
        }
    }

    /// A message of an error, which may have values in it; `None` if it is hidden.
    pub(super) fn text(&self, text: &str) -> Option<String> {
        /// Error messages are longer than arguments, and are what people look for.
        const LENGTH: usize = 300;
        match self.arguments {
            ArgumentPrinting::Full => Some(text.to_owned()),
            ArgumentPrinting::Truncated => Some(match text.char_indices().nth(LENGTH) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text.to_owned(),
            }),
            ArgumentPrinting::Names | ArgumentPrinting::Hidden => None,
        }
    }
}
