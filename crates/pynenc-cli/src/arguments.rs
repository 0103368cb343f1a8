//! What may be said on the command line.

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use pynenc_core::{InvocationId, Status, Timestamp};

const GLOBAL: &str = "Options of every command";

/// Runs and watches the invocations of a pynenc app.
///
/// The app is the one that `pynenc.toml` (searched from here upward) and the PYNENC__ variables describe. `config` shows
/// what came of them, and `check` whether it works.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Answer with JSON
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) json: bool,

    /// Read this file instead of searching for pynenc.toml
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL)]
    pub(crate) config: Option<std::path::PathBuf>,

    /// Set a key over everything else, such as redis.redis_host=db1
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = key_and_value, help_heading = GLOBAL)]
    pub(crate) settings: Vec<(String, String)>,
}

const AFTER_HELP: &str = "\
Examples:
  worker --queues default,gpu           run invocations until told to stop
  call add --args '{\"x\": 1, \"y\": 2}' --wait
  invocations --status failed --since 2h
  why 0196f5d2-…                        why an invocation isn't running
  retry --status failed --task add --dry-run
  check                                 what is wrong with this set-up, and how to mend it

Exit codes:
  0 done            3 a setting is wrong           5 not found
  1 failed          4 a store can't be reached     6 the awaited invocation ended without a value
  2 wrong usage";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run invocations, until the process is told to stop
    ///
    /// The first SIGINT or SIGTERM lets what runs end for `runner.shutdown_grace`, the second one gives it back at once.
    Worker(Worker),
    /// Submit a call
    Call(Call),
    /// List invocations, the newest first
    Invocations(Invocations),
    /// Show an invocation: its call, its history, what came of it
    Show(Show),
    /// Tell in one sentence why an invocation isn't running
    Why(One),
    /// Cancel invocations: those that are named, or those of a filter
    Cancel(Cancel),
    /// Submit what has ended once more: those that are named, or those of a filter
    Retry(Bulk),
    /// Show what waits in which queue, and who serves it
    Queues,
    /// List the runners that live, with what they serve and own
    Runners(Runners),
    /// List triggers, or do something with one
    Triggers(Triggers),
    /// Say that something has happened
    #[command(subcommand)]
    Events(Events),
    /// Look at the runs of workflows
    #[command(subcommand)]
    Workflows(WorkflowAction),
    /// Forget every invocation, event and cached argument of the app
    Purge(Purge),
    /// Show every setting with its value and where it comes from; secrets are masked
    Config(Config),
    /// Look for what is wrong with the set-up, and say how to mend it
    Check(Check),
    /// Draw the statuses of an invocation and the ways between them
    StatusMachine(StatusMachine),
    /// Print the completions of a shell: completions bash > /etc/bash_completion.d/NAME
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// Queues to take work from, the first one first [runner.queues]
    #[arg(long, value_name = "A,B")]
    pub(crate) queues: Option<String>,
    /// Invocations that run at once, in each process [runner.concurrency]
    #[arg(long, value_name = "N")]
    pub(crate) concurrency: Option<usize>,
    /// Worker processes, each replaced when it dies [runner_cls = ProcessRunner, runner.num_processes]
    #[arg(long, value_name = "N")]
    pub(crate) processes: Option<usize>,
    /// No summary line, even on a terminal
    #[arg(long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Call {
    /// The task's name, or the end of it: my_tasks::add, or add
    pub(crate) task: String,
    /// The arguments, as a JSON object of the parameters
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) args: String,
    /// Wait for the value and print it
    #[arg(long)]
    pub(crate) wait: bool,
    /// Wait no longer than this, such as 30s
    #[arg(long, value_name = "LENGTH", value_parser = length, requires = "wait")]
    pub(crate) timeout: Option<Duration>,
    /// Not before this has passed, such as 5m
    #[arg(long, value_name = "LENGTH", value_parser = length)]
    pub(crate) delay: Option<Duration>,
    /// The place in the queue: 0 is last, 9 is first
    #[arg(long, value_name = "0-9", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub(crate) priority: Option<u8>,
    /// The queue
    #[arg(long)]
    pub(crate) queue: Option<String>,
    /// A name for this call: calling again with it gives the same invocation
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

/// Which invocations.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Filter {
    /// In this status; may be repeated, or listed with commas
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status)]
    pub(crate) status: Vec<Status>,
    /// Of this task: its name, or the end of it
    #[arg(long)]
    pub(crate) task: Option<String>,
    /// Submitted within this time (2h), or since then (2026-03-01T12:00:00)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<Timestamp>,
    /// Submitted longer ago than this (2h), or until then (2026-03-01T12:00:00)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<Timestamp>,
    /// With this argument, such as account=7 or name=Ann; may be repeated, and then all have to match
    #[arg(long, value_name = "NAME=VALUE", value_parser = key_and_value)]
    pub(crate) arg: Vec<(String, String)>,
    /// With a line of history within this time (2h), or since then (2026-03-01T12:00:00)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) active_since: Option<Timestamp>,
    /// With a line of history longer ago than this (2h), or until then (2026-03-01T12:00:00)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) active_until: Option<Timestamp>,
    /// With an error that contains this text, in capitals or not
    #[arg(long, value_name = "TEXT")]
    pub(crate) error: Option<String>,
}

impl Filter {
    pub(crate) fn is_empty(&self) -> bool {
        let Self { status, task, since, until, .. } = self;
        let asks_store = !status.is_empty() || task.is_some() || since.is_some() || until.is_some();
        !asks_store && !self.reads_calls()
    }

    /// Whether histories have to be read to know which invocations are meant.
    pub(crate) fn reads_histories(&self) -> bool {
        self.error.is_some() || self.active_since.is_some() || self.active_until.is_some()
    }

    /// Whether calls or their histories have to be read to know which invocations are meant.
    pub(crate) fn reads_calls(&self) -> bool {
        !self.arg.is_empty() || self.reads_histories()
    }
}

/// How an invocation is named: by its id, or by so much of the beginning or the end of it that no other is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IdText {
    Whole(InvocationId),
    /// The digits that are given, in lower case.
    Part(String),
}

impl IdText {
    /// Fewer digits are likely to be those of several.
    const SHORTEST: usize = 4;
}

impl FromStr for IdText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Whole(id));
        }
        let digits: String = text.chars().filter(|char| *char != '-').map(|char| char.to_ascii_lowercase()).collect();
        if !digits.chars().all(|char| char.is_ascii_hexdigit()) || digits.len() > 31 {
            return Err("it isn't an id, nor its beginning or its end: those are digits from 0 to f".to_owned());
        }
        if digits.len() < Self::SHORTEST {
            return Err(format!("write at least {} digits of the beginning or the end of an id", Self::SHORTEST));
        }
        Ok(Self::Part(digits))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Invocations {
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// At most so many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    /// The oldest first
    #[arg(long)]
    pub(crate) oldest_first: bool,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// The invocation's id, or the beginning or the end of it
    pub(crate) id: IdText,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The invocation's id, or the beginning or the end of it
    pub(crate) id: IdText,
    /// Show arguments and result in full, whatever logging.arguments says
    #[arg(long)]
    pub(crate) full: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Bulk {
    /// The invocations' ids, or the beginnings or the ends of them
    #[arg(value_name = "ID", conflicts_with_all = ["status", "task", "since", "until", "arg", "error", "active_since", "active_until"])]
    pub(crate) ids: Vec<IdText>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    #[command(flatten)]
    pub(crate) bulk: Bulk,
    /// Leave alone what they have called; without it, what they wait for is cancelled too
    #[arg(long, conflicts_with = "with_children")]
    pub(crate) only_this: bool,
    /// Cancel all that they have called, and what that has called
    #[arg(long)]
    pub(crate) with_children: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Runners {
    /// List the tasks of each, too
    #[arg(long)]
    pub(crate) tasks: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Triggers {
    #[command(subcommand)]
    pub(crate) action: Option<TriggerAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TriggerAction {
    /// The last runs of a trigger, and what became of them
    Runs {
        /// The trigger's id
        id: String,
        /// At most so many
        #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// When the schedules of a trigger fire next, by their own time zones
    Next {
        /// The trigger's id
        id: String,
        /// So many
        #[arg(long, short = 'n', value_name = "N", default_value_t = 5)]
        count: usize,
    },
    /// Have a trigger pass over what happens
    Pause {
        /// The trigger's id
        id: String,
    },
    /// Have a paused trigger react again
    Resume {
        /// The trigger's id
        id: String,
    },
    /// Make a trigger's call now
    Fire {
        /// The trigger's id
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Events {
    /// Append an event to the app's log, for triggers and for workflows that wait
    Emit {
        /// The event's name
        name: String,
        /// What it carries
        #[arg(long, value_name = "JSON", default_value = "null")]
        payload: String,
        /// What it concerns, for those who wait for one key
        #[arg(long)]
        key: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowAction {
    /// List the runs that have begun, in the order of their beginnings
    Runs(WorkflowFilter),
    /// Show a run with all that it and they have called
    Tree {
        /// The run's id, or the beginning or the end of it
        id: IdText,
    },
    /// Show what a run has recorded
    Journal {
        /// The run's id, or the beginning or the end of it
        id: IdText,
    },
    /// Print a run as a file, which tests replay against later code
    Export {
        /// The run's id, or the beginning or the end of it
        id: IdText,
    },
}

#[derive(Debug, Args)]
pub(crate) struct WorkflowFilter {
    /// Those of this type: the task's name, or the end of it
    #[arg(long, value_name = "TASK")]
    pub(crate) r#type: Option<String>,
    /// In this status; may be repeated, or listed with commas
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status)]
    pub(crate) status: Vec<Status>,
    /// At most so many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Purge {
    /// Don't ask for the app's name
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Config {
    /// Only what isn't a default
    #[arg(long)]
    pub(crate) changed: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Fail for what may be, too: a store that may lose work, a queue that nobody serves
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusMachine {
    /// How it is drawn
    #[arg(long, value_enum, default_value_t = Drawing::Text)]
    pub(crate) format: Drawing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Drawing {
    /// A line for each status
    Text,
    /// A state diagram of Mermaid
    Mermaid,
    /// A picture
    Svg,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it has to be KEY=VALUE, such as runner.concurrency=8")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

fn length(text: &str) -> Result<Duration, String> {
    pynenc_core::config::duration::parse(text)
}

fn status(text: &str) -> Result<Status, String> {
    text.parse().map_err(|error: pynenc_core::Error| error.to_string())
}

fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(ago) = length(text) {
        return Ok(Timestamp::from(std::time::SystemTime::now()) - ago);
    }
    let time = humantime::parse_rfc3339_weak(text);
    time.map(Timestamp::from)
        .map_err(|_| "it is neither a length such as 2h nor a time such as 2026-03-01T12:00:00".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_well_formed() {
        Arguments::command().debug_assert();
    }

    fn moments(text: &str) -> Option<u64> {
        moment(text).ok().map(Timestamp::as_millis)
    }

    #[test]
    fn a_moment_is_a_time_or_a_length_ago() {
        assert_eq!(moments("1970-01-01T00:00:07Z"), Some(7000));
        assert_eq!(moments("1970-01-02 00:00:00"), Some(24 * 3_600_000));
        let hour_ago = Timestamp::from(std::time::SystemTime::now()).as_millis() - 3_600_000;
        assert!(moments("1h").is_some_and(|at| at.abs_diff(hour_ago) < 60_000));
        assert_eq!(moments("yesterday"), None);
    }

    #[test]
    fn an_id_may_be_named_by_a_part_of_it() {
        let id = InvocationId::new();
        let text = id.to_string();
        assert_eq!(text.parse(), Ok(IdText::Whole(id)));
        assert_eq!("01989A-bc".parse(), Ok(IdText::Part("01989abc".into())));
        for (text, told) in [("abc", "at least 4 digits"), ("nobody", "isn't an id"), ("", "at least 4 digits")] {
            assert!(text.parse::<IdText>().unwrap_err().contains(told), "{text}");
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
