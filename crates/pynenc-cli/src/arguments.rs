//! Commands and options. Their doc comments are the help texts.

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use pynenc_core::{InvocationId, Status, Timestamp};

const GLOBAL: &str = "Options of every command";
const FILTERS: &str = "Filters (an invocation has to match all)";

/// Run and inspect the invocations of a pynenc app
///
/// The app is described by `pynenc.toml`, which is searched for from the current directory upward, and by PYNENC__
/// environment variables. `config` shows the resulting settings, and `check` tests them.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Print the answer as JSON
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) json: bool,

    /// Use this configuration file instead of searching for pynenc.toml
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL)]
    pub(crate) config: Option<std::path::PathBuf>,

    /// Override a setting from every other source, such as redis.redis_host=db1
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = key_and_value, help_heading = GLOBAL)]
    pub(crate) settings: Vec<(String, String)>,
}

const AFTER_HELP: &str = "\
Examples:
  worker --queues default,gpu           run invocations until stopped
  worker --metrics 0.0.0.0:9464         the same, with metrics and health probes
  call add --args '{\"x\": 1, \"y\": 2}' --wait
  invocations --status failed --since 2h
  web                                   serve the web monitor and the HTTP API
  top                                   show live what the app does
  why 0196f5d2-…                        explain why an invocation isn't running
  retry --status failed --task add --dry-run
  check                                 find problems of this setup, and how to fix them

Exit codes:
  0 success         3 invalid setting              5 not found
  1 failure         4 a store can't be reached     6 the awaited invocation finished without a value
  2 wrong usage";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run invocations until the process is stopped
    ///
    /// After the first SIGINT or SIGTERM, running tasks have `runner.shutdown_grace` to finish. A second signal skips
    /// the rest of that time: the worker returns what still runs to its queues at once.
    Worker(Worker),
    /// Submit a call
    Call(Call),
    /// List invocations, newest first
    Invocations(Invocations),
    /// Show an invocation with its call, its history, and its result or error
    Show(Show),
    /// Explain in one sentence why an invocation isn't running
    Why(Why),
    /// Cancel invocations, chosen by id or by a filter
    Cancel(Cancel),
    /// Submit finished invocations again, chosen by id or by a filter
    Retry(Bulk),
    /// List queues with their waiting invocations and live runners
    Queues,
    /// List runners with their queues and owned invocations
    Runners(Runners),
    /// Show queues, rates, runners and tasks, again and again
    ///
    /// Keys: q quits, ? shows all others. On a terminal the view is live. Into a file or a pipe, and with --json, the
    /// command prints one reading.
    ///
    /// A reading makes a bounded number of requests: ready and delayed invocations are counted for the 20 longest
    /// queues, and used slots for the 20 busiest runners. Tasks are counted from the last 200 invocations that finished
    /// within 5 minutes, and from those that run.
    Top(Top),
    /// Serve the HTTP API and the web monitor until the process is stopped
    ///
    /// By default it listens at 127.0.0.1:8460 and is read-only; see the section `web` of the settings.
    Web(Web),
    /// List, inspect, pause, resume or fire triggers
    Triggers(Triggers),
    /// Append events to the app's event log
    #[command(subcommand)]
    Events(Events),
    /// Inspect workflow runs
    #[command(subcommand)]
    Workflows(WorkflowAction),
    /// Delete every invocation, event and cached argument of the app
    Purge(Purge),
    /// Back up, check or compact the SQLite file of the app
    #[command(subcommand)]
    Db(Database),
    /// Show every setting with its value and its source; secrets are masked
    Config(Config),
    /// Find problems of the setup, and how to fix them
    Check(Check),
    /// Draw the statuses of an invocation and the transitions between them
    StatusMachine(StatusMachine),
    /// Print shell completions: completions bash > /etc/bash_completion.d/NAME
    Completions {
        /// Name of the shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Database {
    /// Copy a consistent state to a new file, while the app runs
    ///
    /// Large arguments are copied to a second file, whose name ends in `-content`.
    Backup {
        /// New file
        file: std::path::PathBuf,
    },
    /// Check the structure of the file, while the app runs
    Check,
    /// Give the space of deleted rows back; writers wait meanwhile
    Vacuum,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Worker {
    #[command(subcommand)]
    pub(crate) action: Option<WorkerAction>,
    /// Queues to serve, in the order of precedence [runner.queues]
    #[arg(long, value_name = "A,B")]
    pub(crate) queues: Option<String>,
    /// Maximum number of invocations that run at once in each process [runner.concurrency]
    #[arg(long, value_name = "N")]
    pub(crate) concurrency: Option<usize>,
    /// Number of worker processes; a dead one is replaced [runner_cls = ProcessRunner, runner.num_processes]
    #[arg(long, value_name = "N")]
    pub(crate) processes: Option<usize>,
    /// Answer /metrics for Prometheus and the health probes /livez and /readyz here, such as at 0.0.0.0:9464 [metrics.listen]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) metrics: Option<String>,
    /// Show no summary line on a terminal
    #[arg(long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkerAction {
    /// Ask a running worker on this machine whether it claims invocations, for probes that execute a command
    ///
    /// The worker needs the setting `metrics.listen`, which tells this command the address too. Exits with 0 if the
    /// worker is ready, with 1 and the reason if it isn't, and with 4 if it doesn't reply within 5 seconds.
    Health(Health),
}

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Ask only whether the worker works at all, so that it needn't be restarted
    #[arg(long)]
    pub(crate) live: bool,
    /// Address of the worker [metrics.listen]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) metrics: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Call {
    /// Name of the task, or the end of its name: my_tasks::add, or add
    pub(crate) task: String,
    /// Arguments as a JSON object with a key for each parameter
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) args: String,
    /// Wait for the result and print it
    #[arg(long)]
    pub(crate) wait: bool,
    /// Maximum time to wait, such as 30s
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "wait")]
    pub(crate) timeout: Option<Duration>,
    /// Time before the task may run, such as 5m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) delay: Option<Duration>,
    /// Priority in the queue, from 0 (last) to 9 (first)
    #[arg(long, value_name = "0-9", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub(crate) priority: Option<u8>,
    /// Queue of the invocation
    #[arg(long)]
    pub(crate) queue: Option<String>,
    /// Key of this call: another call with the same key returns the same invocation
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

/// Options that choose invocations.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub(crate) struct Filter {
    /// Only invocations with this status; repeat the option or separate statuses with commas
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status, help_heading = FILTERS)]
    pub(crate) status: Vec<Status>,
    /// Only invocations of this task; the end of its name is enough
    #[arg(long, help_heading = FILTERS)]
    pub(crate) task: Option<String>,
    /// Only invocations submitted at or after TIME: 2026-03-01T12:00:00, or 2h for 2 hours ago
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = FILTERS)]
    pub(crate) since: Option<Timestamp>,
    /// Only invocations submitted at or before TIME
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = FILTERS)]
    pub(crate) until: Option<Timestamp>,
    /// Only invocations with this argument, such as account=7 or name=Ann; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = key_and_value, help_heading = FILTERS)]
    pub(crate) arg: Vec<(String, String)>,
    /// Only invocations with a history entry at or after TIME
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = FILTERS)]
    pub(crate) active_since: Option<Timestamp>,
    /// Only invocations with a history entry at or before TIME
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = FILTERS)]
    pub(crate) active_until: Option<Timestamp>,
    /// Only invocations with an error that contains TEXT, in upper or lower case
    #[arg(long, value_name = "TEXT", help_heading = FILTERS)]
    pub(crate) error: Option<String>,
}

impl Filter {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An invocation id on the command line: all of it, or its beginning or end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IdArgument {
    Full(InvocationId),
    /// The digits of the beginning or the end, in lower case and without dashes.
    Partial(String),
}

impl IdArgument {
    /// The minimum number of digits. Fewer digits are likely to match several ids.
    const MIN_DIGITS: usize = 4;
}

impl FromStr for IdArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Full(id));
        }
        let digits: String = text.chars().filter(|char| *char != '-').map(|char| char.to_ascii_lowercase()).collect();
        if !digits.chars().all(|char| char.is_ascii_hexdigit()) || digits.len() > 31 {
            return Err(
                "not an invocation id, nor the beginning or end of one: an id has 32 hexadecimal digits".to_owned()
            );
        }
        if digits.len() < Self::MIN_DIGITS {
            return Err(format!(
                "too short: give at least {} digits of the beginning or end of an id",
                Self::MIN_DIGITS
            ));
        }
        Ok(Self::Partial(digits))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Invocations {
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Maximum number of rows
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    /// List the oldest invocations first
    #[arg(long)]
    pub(crate) oldest_first: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Why {
    /// Id of the invocation, or the beginning or end of it
    pub(crate) id: IdArgument,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Id of the invocation, or the beginning or end of it
    pub(crate) id: IdArgument,
    /// Show arguments and result in full, regardless of logging.arguments
    #[arg(long)]
    pub(crate) full: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Bulk {
    /// Ids of invocations, or the beginning or end of each
    #[arg(value_name = "ID", conflicts_with_all = ["status", "task", "since", "until", "arg", "error", "active_since", "active_until"])]
    pub(crate) ids: Vec<IdArgument>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// List the invocations, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    #[command(flatten)]
    pub(crate) bulk: Bulk,
    /// Cancel no children; without this option, the children that these invocations wait for are cancelled too
    #[arg(long, conflicts_with = "with_children")]
    pub(crate) only_this: bool,
    /// Cancel all children too, and their children
    #[arg(long)]
    pub(crate) with_children: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Runners {
    /// Show the tasks of each runner, too
    #[arg(long)]
    pub(crate) tasks: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Time between two readings
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = interval)]
    pub(crate) interval: Duration,
    /// Print one reading
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Web {
    #[command(subcommand)]
    pub(crate) action: Option<WebAction>,
    /// Address of the listener [web.listen]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// Let operators submit, cancel, retry, emit events, and pause and fire triggers [web.actions]
    #[arg(long)]
    pub(crate) actions: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WebAction {
    /// Print the line of a user with a password, for the file `web.credentials_file`; reads the password from standard input
    Password(WebUser),
    /// Print a new token on standard error, and its line for the file `web.credentials_file` on standard output
    Token(WebUser),
    /// Print the OpenAPI document of the API
    Openapi,
}

#[derive(Debug, Args)]
pub(crate) struct WebUser {
    /// Name of the user, for the audit log
    pub(crate) name: String,
    /// Role of the user: viewers see everything, operators may act too
    #[arg(long, value_enum, default_value_t = WebRole::Viewer)]
    pub(crate) role: WebRole,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WebRole {
    /// Sees everything
    Viewer,
    /// Sees everything and may act
    Operator,
}

#[derive(Debug, Args)]
pub(crate) struct Triggers {
    #[command(subcommand)]
    pub(crate) action: Option<TriggerAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TriggerAction {
    /// List the last runs of a trigger, with their outcomes
    Runs {
        /// Id of the trigger
        id: String,
        /// Maximum number of rows
        #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// List the next times of a trigger's schedules, in the time zone of each schedule
    Next {
        /// Id of the trigger
        id: String,
        /// Number of times to list
        #[arg(long, short = 'n', value_name = "N", default_value_t = 5)]
        count: usize,
    },
    /// Pause a trigger, which then ignores events, completions and its schedules
    Pause {
        /// Id of the trigger
        id: String,
    },
    /// Resume a paused trigger
    Resume {
        /// Id of the trigger
        id: String,
    },
    /// Submit the call of a trigger now
    Fire {
        /// Id of the trigger
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Events {
    /// Append an event, for triggers and for workflows that wait for it
    Emit {
        /// Name of the event
        name: String,
        /// Payload of the event
        #[arg(long, value_name = "JSON", default_value = "null")]
        payload: String,
        /// Key of the event, such as an order number; a workflow can wait for events with one key
        #[arg(long)]
        key: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowAction {
    /// List the started runs, in the order in which they started
    Runs(WorkflowFilter),
    /// Show a run with the tree of its calls
    Tree {
        /// Id of the run, or the beginning or end of it
        id: IdArgument,
    },
    /// Show the journal of a run: the operations that it has recorded
    Journal {
        /// Id of the run, or the beginning or end of it
        id: IdArgument,
    },
    /// Print the recorded history of a run, which a test can replay against later code
    Export {
        /// Id of the run, or the beginning or end of it
        id: IdArgument,
    },
}

#[derive(Debug, Args)]
pub(crate) struct WorkflowFilter {
    /// Only runs of this type: the name of the workflow's task, or the end of its name
    #[arg(long, value_name = "TASK")]
    pub(crate) r#type: Option<String>,
    /// Only runs with this status; repeat the option or separate statuses with commas
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status)]
    pub(crate) status: Vec<Status>,
    /// Maximum number of rows
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Purge {
    /// Purge without asking for the app's name
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Config {
    /// Leave out the settings that nothing sets
    #[arg(long)]
    pub(crate) changed: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Fail for warnings, too: for example a store that may lose work, or a queue that no runner serves
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusMachine {
    /// Format of the drawing
    #[arg(long, value_enum, default_value_t = Drawing::Text)]
    pub(crate) format: Drawing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Drawing {
    /// A line for each status
    Text,
    /// A Mermaid state diagram
    Mermaid,
    /// An SVG picture
    Svg,
}

/// The name by which this program was started.
pub(crate) fn program_name() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    let name = std::path::Path::new(&path).file_stem().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "pynenc".to_owned())
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, such as runner.concurrency=8")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

fn duration(text: &str) -> Result<Duration, String> {
    pynenc_core::config::duration::parse(text)
}

/// Reads the time between two readings. A shorter one would only load the stores.
fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval < Duration::from_millis(100) { Err("expected at least 100ms".to_owned()) } else { Ok(interval) }
}

fn status(text: &str) -> Result<Status, String> {
    text.parse().map_err(|error: pynenc_core::Error| error.to_string())
}

/// Reads a time, or a duration before now.
fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text, std::time::SystemTime::now().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_of_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    fn millis(text: &str) -> Option<u64> {
        time(text).ok().map(Timestamp::as_millis)
    }

    #[test]
    fn a_time_may_be_given_as_a_duration_before_now() {
        assert_eq!(millis("1970-01-01T00:00:07Z"), Some(7000));
        assert_eq!(millis("1970-01-02 00:00:00"), Some(24 * 3_600_000));
        let hour_ago = Timestamp::from(std::time::SystemTime::now()).as_millis() - 3_600_000;
        assert!(millis("1h").is_some_and(|at| at.abs_diff(hour_ago) < 60_000));
        assert_eq!(millis("yesterday"), None);
    }

    #[test]
    fn a_partial_id_needs_four_hexadecimal_digits() {
        let id = InvocationId::new();
        let text = id.to_string();
        assert_eq!(text.parse(), Ok(IdArgument::Full(id)));
        assert_eq!("01989A-bc".parse(), Ok(IdArgument::Partial("01989abc".into())));
        for (text, message) in
            [("abc", "at least 4 digits"), ("nobody", "not an invocation id"), ("", "at least 4 digits")]
        {
            assert!(text.parse::<IdArgument>().unwrap_err().contains(message), "{text}");
        }
    }

    #[test]
    fn a_setting_is_a_key_and_a_value() {
        assert_eq!(
            key_and_value("redis.redis_url=redis://u:p=w@h"),
            Ok(("redis.redis_url".into(), "redis://u:p=w@h".into()))
        );
        assert!(key_and_value("redis").is_err());
    }
}
