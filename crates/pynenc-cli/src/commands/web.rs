//! `web`: serves the HTTP API and the web monitor, and makes the credentials of its users.

use std::io::{IsTerminal, Read};

use pynenc_builder::PynencBuilder;
use pynenc_builder::backends::pynenc_web::{self, Role};
use pynenc_engine::{Error, Result};
use serde_json::json;

use crate::arguments::{Web, WebAction, WebRole, WebUser};
use crate::exit::Exit;
use crate::in_memory::is_in_memory;
use crate::output::Output;
use crate::stderr;

pub(super) async fn run(builder: PynencBuilder, options: &Web, output: &mut Output) -> Result<Exit> {
    match &options.action {
        None => serve(configure(builder, options), output).await,
        Some(WebAction::Password(user)) => password(user, output),
        Some(WebAction::Token(user)) => token(user, output),
        Some(WebAction::Openapi) => {
            let document = serde_json::to_string_pretty(&pynenc_web::openapi()).map_err(Error::other)?;
            output.text(&document)?;
            Ok(Exit::Done)
        }
    }
}

fn configure(mut builder: PynencBuilder, options: &Web) -> PynencBuilder {
    if let Some(address) = &options.listen {
        builder = builder.argument("web.listen", address);
    }
    if options.actions {
        builder = builder.argument("web.actions", "true");
    }
    builder
}

async fn serve(builder: PynencBuilder, output: &mut Output) -> Result<Exit> {
    stderr::init_logging(&builder.section()?)?;
    let app = builder.build().await?;
    if is_in_memory(&app) {
        stderr::print(
            "note",
            "this app is in the memory of its own process, so the monitor sees nothing of other processes",
        );
    }
    let listening = app.web()?.listen().await?;
    let url = listening.url();
    output.value(|| json!({"url": url}), || format!("{} is served at {url}", app.settings().app_id))?;
    app.serve_web_at(listening).await?;
    Ok(Exit::Done)
}

fn password(user: &WebUser, output: &mut Output) -> Result<Exit> {
    if std::io::stdin().is_terminal() {
        stderr::print("note", "type the password and press Ctrl-D; it is shown while you type");
    }
    let mut password = String::new();
    std::io::stdin().read_to_string(&mut password).map_err(Error::other)?;
    let line = pynenc_web::password_line(&user.name, role(user), password.trim_end_matches(['\r', '\n']))?;
    output.value(|| json!({"line": line}), || line.clone())?;
    Ok(Exit::Done)
}

fn token(user: &WebUser, output: &mut Output) -> Result<Exit> {
    let (token, line) = pynenc_web::new_token_line(&user.name, role(user))?;
    if !output.is_json() {
        stderr::print("token", &format!("{token} (it can't be shown again)"));
    }
    output.value(|| json!({"token": token, "line": line}), || line.clone())?;
    Ok(Exit::Done)
}

fn role(user: &WebUser) -> Role {
    match user.role {
        WebRole::Viewer => Role::Viewer,
        WebRole::Operator => Role::Operator,
    }
}
