//! `purge`

use std::io::{self, IsTerminal, Write};

use pynenc_engine::{Engine, Error, Result};
use serde_json::json;

use crate::arguments::Purge;
use crate::exit::Exit;
use crate::screen::Screen;

pub(super) async fn purge(app: &Engine, wanted: &Purge, screen: &mut Screen) -> Result<Exit> {
    let name = &*app.settings().app_id;
    if !wanted.yes && !is_meant(name)? {
        return Err(Error::other("nothing was purged: type the app's name, or use --yes"));
    }
    let count: u64 = app.parts().orchestrator.count().await?.statuses.values().sum();
    app.purge().await?;
    screen.answer(
        || json!({"app": name, "purged": count}),
        || format!("{count} invocations of `{name}` are forgotten"),
    )?;
    Ok(Exit::Done)
}

/// Asks a person; there is nobody to be asked where no terminal is.
fn is_meant(name: &str) -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    eprint!("This forgets everything of the app `{name}`. Type its name to go on: ");
    io::stderr().flush().map_err(Error::other)?;
    let mut typed = String::new();
    io::stdin().read_line(&mut typed).map_err(Error::other)?;
    Ok(typed.trim() == name)
}
