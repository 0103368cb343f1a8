//! `purge`: deletes everything of an app.

use std::io::{self, IsTerminal, Write};

use pynenc_engine::{Engine, Error, Result};
use serde_json::json;

use crate::arguments::Purge;
use crate::exit::Exit;
use crate::output::Output;

pub(super) async fn purge(app: &Engine, options: &Purge, output: &mut Output) -> Result<Exit> {
    let name = &*app.settings().app_id;
    if !options.yes && !confirm(name)? {
        return Err(Error::other("nothing was purged: confirm with the app's name, or pass --yes"));
    }
    let count: u64 = app.parts().orchestrator.count().await?.statuses.values().sum();
    app.purge().await?;
    output.value(|| json!({"app": name, "purged": count}), || format!("deleted {count} invocations of `{name}`"))?;
    Ok(Exit::Done)
}

/// Asks for the app's name. Without a terminal nobody can answer, so the answer is no.
fn confirm(name: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    eprint!("This deletes everything of the app `{name}`. Type the name of the app to continue: ");
    io::stderr().flush().map_err(Error::other)?;
    let mut typed = String::new();
    io::stdin().read_line(&mut typed).map_err(Error::other)?;
    Ok(typed.trim() == name)
}
