//! `config`: lists the settings with their values and sources.

use comfy_table::Cell;
use pynenc_builder::PynencBuilder;
use pynenc_core::config::Setting;
use pynenc_engine::Result;
use serde_json::{Value, json};

use crate::arguments::Config;
use crate::exit::Exit;
use crate::output::{Output, cell};

/// Lists the settings. The settings of plug-ins are only known after the app is built. If building the app fails, they
/// are left out.
pub(super) async fn show(builder: PynencBuilder, options: &Config, output: &mut Output) -> Result<Exit> {
    let without_plugins = builder.explain()?;
    let app = if builder.has_plugins() { builder.build().await.ok() } else { None };
    let mut settings = app.map_or(without_plugins, |app| app.explain());
    settings.retain(|setting| !options.changed || setting.source != "default");
    output.list(&settings, as_json, (&["key", "value", "source"], row), "every setting has its default value")?;
    Ok(Exit::Done)
}

fn row(setting: &Setting) -> Vec<Cell> {
    vec![cell(&setting.key), cell(&setting.value), cell(&setting.source)]
}

fn as_json(setting: &Setting) -> Value {
    json!({"key": setting.key, "value": setting.value, "source": setting.source})
}
