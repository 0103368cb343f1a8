//! How does an app use a component of my own? A plug-in registers it under a name, and `pynenc.toml` selects that name.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p custom-component
//! ```
//!
//! The component is the crate `file-broker` in this folder: a broker that keeps each message in a file.

use std::path::Path;

use file_broker::{FileBrokerConfig, FilePlugin};
use pynenc::config::Section;
use pynenc::prelude::*;

/// Reverses a text.
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
    println!("directory:     {directory}");

    let invocation = app.submit(reverse("tekorb".to_owned())).await?;
    println!("submitted:     {} file(s)", files(&directory));
    let runner = app.start_runner().await?;
    println!("result:        {}", invocation.result().await?);
    println!("after the run: {} file(s)", files(&directory));
    runner.shutdown().await
}

/// Counts the files of a directory.
fn files(directory: &str) -> usize {
    Path::new(directory.trim_matches('"')).read_dir().map_or(0, Iterator::count)
}
