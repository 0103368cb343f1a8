//! `db`: backs up, checks or compacts the SQLite file of an app.

use std::path::{Path, PathBuf};

use pynenc_builder::PynencBuilder;
use pynenc_builder::backends::pynenc_sqlite::Maintenance;
use pynenc_engine::{Error, Result};
use serde_json::json;

use crate::arguments::Database;
use crate::exit::Exit;
use crate::output::Output;

/// Runs the action on a thread of its own, because it waits for the disk.
pub(super) async fn run(builder: PynencBuilder, action: Database, output: &mut Output) -> Result<Exit> {
    let maintenance = builder.sqlite_maintenance()?;
    match action {
        Database::Backup { file } => {
            let copies = blocking(move || back_up(&maintenance, &file)).await?;
            output.value(|| json!({"files": copies}), || format!("backed up to {}", copies.join(" and ")))?;
            Ok(Exit::Done)
        }
        Database::Check => {
            let problems = blocking(move || maintenance.check()).await?;
            let text = || if problems.is_empty() { "no problem was found".to_owned() } else { problems.join("\n") };
            output.value(|| json!({"problems": problems}), text)?;
            Ok(if problems.is_empty() { Exit::Done } else { Exit::Failed })
        }
        Database::Vacuum => {
            let (before, after) = blocking(move || maintenance.vacuum()).await?;
            output.value(
                || json!({"bytes_before": before, "bytes_after": after}),
                || format!("compacted from {before} to {after} bytes"),
            )?;
            Ok(Exit::Done)
        }
    }
}

fn back_up(maintenance: &Maintenance, file: &Path) -> pynenc_core::Result<Vec<String>> {
    let copies: Vec<PathBuf> = maintenance.back_up(file)?;
    Ok(copies.iter().map(|copy| copy.display().to_string()).collect())
}

async fn blocking<T: Send + 'static>(action: impl FnOnce() -> pynenc_core::Result<T> + Send + 'static) -> Result<T> {
    Ok(tokio::task::spawn_blocking(action).await.map_err(Error::other)??)
}
