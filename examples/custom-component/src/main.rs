//! How does an app take a component that it doesn't bring itself? A plug-in adds it by name, and `pynenc.toml` chooses it.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p custom-component
//! ```
//!
//! The component itself is the crate `file-broker` in this folder.

use std::path::Path;

use file_broker::{FileBrokerConfig, FilePlugin};
use pynenc::config::Section;
use pynenc::prelude::*;

/// Turns a text around.
#[task]
async fn reverse(text: String) -> String {
    text.chars().rev().collect()
}

#[tokio::main]
async fn main() -> Result<()> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/pynenc.toml");
    let app = Pynenc::builder().config_file(file).plugin(FilePlugin).build().await?;
    let settings = app.explain();
    let directory = settings.iter().find(|setting| setting.key == format!("{}.directory", FileBrokerConfig::NAME));
    let directory = directory.map(|setting| setting.value.clone()).unwrap_or_default();
    println!("hints are kept in {directory}");

    let invocation = app.submit(reverse("tekorb".to_owned())).await?;
    println!("submitted:    {} file(s)", files(&directory));
    let runner = app.start_runner().await?;
    println!("reverse gave: {}", invocation.result().await?);
    println!("taken:        {} file(s)", files(&directory));
    runner.shutdown().await
}

fn files(directory: &str) -> usize {
    Path::new(directory.trim_matches('"')).read_dir().map_or(0, Iterator::count)
}
