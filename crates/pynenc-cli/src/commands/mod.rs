//! What each command does.

mod call;
mod change;
mod check;
mod config;
mod events;
mod invocations;
mod purge;
mod queues;
mod runners;
mod show;
#[cfg(feature = "triggers")]
mod triggers;
mod worker;
#[cfg(feature = "workflow")]
mod workflows;

use clap::CommandFactory;
use pynenc_builder::{Pynenc, PynencBuilder};
use pynenc_core::config::LoggingConfig;
use pynenc_core::lane::StoreId;
use pynenc_engine::{Engine, Result};
use serde_json::json;

use crate::arguments::{Arguments, Command, Drawing};
use crate::bulk;
use crate::console;
use crate::exit::Exit;
use crate::screen::{Screen, complain};
use crate::status_machine;

pub(crate) async fn perform(builder: PynencBuilder, arguments: Arguments, screen: &mut Screen) -> Result<Exit> {
    let builder = configured(builder, &arguments);
    match arguments.command {
        Command::Config(wanted) => config::show(builder, &wanted, screen).await,
        Command::Check(wanted) => check::check(builder, &wanted, screen).await,
        Command::Worker(wanted) => worker::run(builder, &wanted, screen).await,
        Command::StatusMachine(wanted) => draw(wanted.format, screen),
        Command::Completions { shell } => {
            let (mut command, name) = (Arguments::command(), program());
            clap_complete::generate(shell, &mut command, name, &mut std::io::stdout());
            Ok(Exit::Done)
        }
        command => {
            // A person who asks something wants its answer, and not what the app thinks of its store each time.
            console::log(&LoggingConfig { level: "error".into(), ..builder.logging()? })?;
            ask(builder.build().await?, command, screen).await
        }
    }
}

/// What concerns an app that is there.
async fn ask(app: Pynenc, command: Command, screen: &mut Screen) -> Result<Exit> {
    if !matches!(command, Command::Call(_)) && is_in_memory(&app) {
        complain(
            "note",
            "this app keeps everything in the memory of its process, and no other process can look into it",
        );
    }
    match command {
        Command::Call(wanted) => call::call(&app, &wanted, screen).await,
        Command::Invocations(wanted) => invocations::list(&app, &wanted, screen).await,
        Command::Show(wanted) => show::show(&app, &wanted, screen).await,
        Command::Why(wanted) => why(&app, bulk::named(&app, &wanted.id).await?, screen).await,
        Command::Cancel(wanted) => change::cancel(&app, &wanted, screen).await,
        Command::Retry(wanted) => change::retry(&app, &wanted, screen).await,
        Command::Queues => queues::list(&app, screen).await,
        Command::Runners(wanted) => runners::list(&app, &wanted, screen).await,
        #[cfg(feature = "triggers")]
        Command::Triggers(wanted) => triggers::perform(&app, wanted.action, screen).await,
        #[cfg(not(feature = "triggers"))]
        Command::Triggers(_) => absent("triggers"),
        Command::Events(wanted) => events::emit(&app, &wanted, screen).await,
        #[cfg(feature = "workflow")]
        Command::Workflows(action) => workflows::perform(&app, action, screen).await,
        #[cfg(not(feature = "workflow"))]
        Command::Workflows(_) => absent("workflow"),
        Command::Purge(wanted) => purge::purge(&app, &wanted, screen).await,
        Command::Config(_)
        | Command::Check(_)
        | Command::Worker(_)
        | Command::StatusMachine(_)
        | Command::Completions { .. } => unreachable!("they are performed without asking the app"),
    }
}

/// The answer where a feature is off.
#[cfg(not(all(feature = "triggers", feature = "workflow")))]
fn absent(feature: &str) -> Result<Exit> {
    let error = pynenc_core::Error::config("this program lacks what the command is about");
    Err(pynenc_engine::Error::Config(error.with("advice", format!("turn on the feature `{feature}`"))))
}

async fn why(app: &Engine, id: pynenc_core::InvocationId, screen: &mut Screen) -> Result<Exit> {
    let why = app.why(id).await?;
    let json = || json!({"invocation": id, "sentence": why.to_string(), "why": why});
    screen.answer(json, || why.to_string())?;
    Ok(Exit::Done)
}

fn draw(format: Drawing, screen: &mut Screen) -> Result<Exit> {
    let drawn = match format {
        Drawing::Text => status_machine::text(),
        Drawing::Mermaid => status_machine::mermaid(),
        Drawing::Svg => status_machine::svg(),
    };
    screen.answer(status_machine::json, || drawn)?;
    Ok(Exit::Done)
}

fn configured(mut builder: PynencBuilder, arguments: &Arguments) -> PynencBuilder {
    if let Some(file) = &arguments.config {
        builder = builder.config_file(file);
    }
    let settings = arguments.settings.iter();
    settings.fold(builder, |builder, (key, value)| builder.argument(key, value))
}

fn is_in_memory(app: &Engine) -> bool {
    app.parts().orchestrator.store_id() == Some(StoreId::of_this_process())
}

/// The name that this program is called by.
fn program() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    let name = std::path::Path::new(&path).file_stem().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "pynenc".to_owned())
}
