//! The commands, a file for each, and the dispatch to them.

mod bulk;
mod call;
mod cancel;
mod check;
mod completions;
mod config;
#[cfg(feature = "sqlite")]
mod db;
mod events;
#[cfg(feature = "metrics")]
mod health;
mod invocations;
mod purge;
mod queues;
mod retry;
mod runners;
mod show;
mod status_machine;
#[cfg(unix)]
mod systemd;
#[cfg(feature = "top")]
mod top;
#[cfg(feature = "triggers")]
mod triggers;
#[cfg(feature = "web")]
mod web;
mod why;
mod worker;
#[cfg(feature = "workflow")]
mod workflows;

use pynenc_builder::{Pynenc, PynencBuilder};
use pynenc_core::config::LoggingConfig;
use pynenc_engine::Result;

#[cfg(feature = "metrics")]
use crate::arguments::WorkerAction;
use crate::arguments::{Arguments, Command, Worker};
use crate::exit::Exit;
use crate::in_memory::is_in_memory;
use crate::output::Output;
use crate::stderr;

/// Runs the command of the arguments for the app of a builder.
pub(crate) async fn run(builder: PynencBuilder, arguments: Arguments, output: &mut Output) -> Result<Exit> {
    let builder = configure(builder, &arguments);
    match arguments.command {
        Command::Config(options) => config::show(builder, &options, output).await,
        Command::Check(options) => check::check(builder, &options, output).await,
        #[cfg(feature = "metrics")]
        Command::Worker(Worker { action: Some(WorkerAction::Health(options)), .. }) => {
            health::ask(builder, &options, output).await
        }
        #[cfg(not(feature = "metrics"))]
        Command::Worker(Worker { action: Some(_), .. }) => missing_feature("worker health", "metrics"),
        Command::Worker(options) => worker::run(builder, &options, output).await,
        #[cfg(feature = "web")]
        Command::Web(options) => web::run(builder, &options, output).await,
        #[cfg(not(feature = "web"))]
        Command::Web(_) => missing_feature("web", "web"),
        Command::StatusMachine(options) => status_machine::draw(options.format, output),
        Command::Completions { shell } => Ok(completions::print(shell)),
        #[cfg(feature = "sqlite")]
        Command::Db(action) => db::run(builder, action, output).await,
        #[cfg(not(feature = "sqlite"))]
        Command::Db(_) => missing_feature("db", "sqlite"),
        command => {
            // Warnings about the store would be repeated by every command. `check` and the worker report them. The live
            // view shows errors itself; lines of a log would be written over it.
            let level = if matches!(command, Command::Top(_)) { "off" } else { "error" };
            stderr::init_logging(&LoggingConfig { level: level.into(), ..builder.section()? })?;
            let app = builder.build().await?;
            let result = run_with_app(app.clone(), command, output).await;
            app.flush().await;
            result
        }
    }
}

/// Runs a command that reads or changes the stores of the app.
async fn run_with_app(app: Pynenc, command: Command, output: &mut Output) -> Result<Exit> {
    if !matches!(command, Command::Call(_)) && is_in_memory(&app) {
        stderr::print(
            "note",
            "this app is in the memory of its own process, so this command sees nothing of other processes",
        );
    }
    match command {
        Command::Call(options) => call::call(&app, &options, output).await,
        Command::Invocations(options) => invocations::list(&app, &options, output).await,
        Command::Show(options) => show::show(&app, &options, output).await,
        Command::Why(options) => why::why(&app, &options, output).await,
        Command::Cancel(options) => cancel::cancel(&app, &options, output).await,
        Command::Retry(options) => retry::retry(&app, &options, output).await,
        Command::Queues => queues::list(&app, output).await,
        Command::Runners(options) => runners::list(&app, &options, output).await,
        #[cfg(feature = "top")]
        Command::Top(options) => top::show(&app, &options, output).await,
        #[cfg(not(feature = "top"))]
        Command::Top(_) => missing_feature("top", "top"),
        #[cfg(feature = "triggers")]
        Command::Triggers(options) => triggers::run(&app, options.action, output).await,
        #[cfg(not(feature = "triggers"))]
        Command::Triggers(_) => missing_feature("triggers", "triggers"),
        Command::Events(options) => events::emit(&app, &options, output).await,
        #[cfg(feature = "workflow")]
        Command::Workflows(action) => workflows::run(&app, action, output).await,
        #[cfg(not(feature = "workflow"))]
        Command::Workflows(_) => missing_feature("workflows", "workflow"),
        Command::Purge(options) => purge::purge(&app, &options, output).await,
        Command::Config(_)
        | Command::Check(_)
        | Command::Worker(_)
        | Command::Db(_)
        | Command::Web(_)
        | Command::StatusMachine(_)
        | Command::Completions { .. } => unreachable!("`run` handles the commands that need no app"),
    }
}

/// The error of a command whose feature is off.
#[cfg(not(all(
    feature = "metrics",
    feature = "sqlite",
    feature = "top",
    feature = "triggers",
    feature = "web",
    feature = "workflow"
)))]
fn missing_feature(command: &str, feature: &str) -> Result<Exit> {
    let error = pynenc_core::Error::config(format!("this program was built without the command `{command}`"));
    Err(pynenc_engine::Error::Config(error.with("advice", format!("turn on the feature `{feature}`"))))
}

/// Applies `--config` and `--set`.
fn configure(mut builder: PynencBuilder, arguments: &Arguments) -> PynencBuilder {
    if let Some(file) = &arguments.config {
        builder = builder.config_file(file);
    }
    let settings = arguments.settings.iter();
    settings.fold(builder, |builder, (key, value)| builder.argument(key, value))
}
