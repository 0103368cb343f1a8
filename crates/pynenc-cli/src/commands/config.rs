//! `config`

use comfy_table::Cell;
use pynenc_builder::PynencBuilder;
use pynenc_core::config::Setting;
use pynenc_engine::Result;
use serde_json::{Value, json};

use crate::arguments::Config;
use crate::exit::Exit;
use crate::screen::{Screen, cell};

/// Shows what is set. Where the app can be made, what its plug-ins read is there too; else what can be told without it.
pub(super) async fn show(builder: PynencBuilder, wanted: &Config, screen: &mut Screen) -> Result<Exit> {
    let told = builder.explain()?;
    let made = if builder.has_plugins() { builder.build().await.ok() } else { None };
    let mut settings = made.map_or(told, |app| app.explain());
    settings.retain(|setting| !wanted.changed || setting.source != "default");
    screen.list(&settings, as_json, (&["key", "value", "source"], row), "everything is a default")?;
    Ok(Exit::Done)
}

fn row(setting: &Setting) -> Vec<Cell> {
    vec![cell(&setting.key), cell(&setting.value), cell(&setting.source)]
}

fn as_json(setting: &Setting) -> Value {
    json!({"key": setting.key, "value": setting.value, "source": setting.source})
}
