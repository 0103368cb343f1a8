//! The scripts: one for each verb, put together from the parts it uses.
//!
//! `K.name` stands for a key, `S.name` for a status, `R.name` for a reason, `A.name` for an actor, `E.name` for a field of
//! an entry and `T.name` for a table or a constant. Each becomes a literal here, so that a script spends no time on
//! naming things, and the life cycle that scripts go by is the one table of the core.

use std::sync::LazyLock;

use pynenc_core::record::Priority;
use pynenc_core::status::{Actors, EDGES};
use pynenc_core::{Reason, Status};
use redis::Script;

use crate::keys::Key;

/// The lease of a runner that claims before its first heartbeat: what it claims must not be lost with it.
const FIRST_LEASE_MILLIS: u64 = 15_000;
/// How many leases a retired runner is remembered for, so that its next call is told.
const REMEMBERED_LEASES: u64 = 10;

/// The fields of an entry in a script, in their order; the first is the entry's text itself.
const FIELDS: [&str; 28] = [
    "raw",
    "layout",
    "status",
    "reason",
    "cancel",
    "granted",
    "named",
    "watched",
    "version",
    "epoch",
    "deliveries",
    "starts",
    "losses",
    "retries",
    "at",
    "due",
    "owner",
    "token",
    "place",
    "length",
    "running",
    "keyed",
    "priority",
    "results",
    "failures",
    "queue",
    "task",
    "next",
];

#[cfg(feature = "test-clock")]
const CLOCK: &str = include_str!("../scripts/lib/test_clock.lua");
#[cfg(not(feature = "test-clock"))]
const CLOCK: &str = include_str!("../scripts/lib/clock.lua");

macro_rules! scripts {
    ($($verb:ident = $file:literal: [$($part:ident),*];)+) => {
        /// A verb that is a script.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Verb { $(#[doc = concat!("`", $file, ".lua`")] $verb),+ }

        /// Each script's name, its parts and itself.
        const SOURCES: &[(&str, &[&str], &str)] = &[$((
            $file,
            &[include_str!("../scripts/lib/prelude.lua"), CLOCK, $($part),*],
            include_str!(concat!("../scripts/", $file, ".lua")),
        )),+];
    };
}

macro_rules! parts {
    ($($name:ident = $file:literal;)+) => {
        $(const $name: &str = include_str!(concat!("../scripts/lib/", $file, ".lua"));)+
    };
}

parts! {
    ENTRY = "entry"; TABLE = "table"; ENTER = "enter"; SLOTS = "slots"; KNOTS = "knots"; REGISTER = "register";
    CONTENT = "content"; CLAIM = "claim"; TRANSITION = "transition"; QUEUE = "queue"; FACTS = "facts"; RETIRE = "retire";
    OUTBOX = "outbox"; JOURNAL = "journal";
}

scripts! {
    Register = "register": [ENTRY, ENTER, REGISTER];
    Claim = "claim": [ENTRY, TABLE, ENTER, SLOTS, KNOTS, CLAIM];
    Transition = "transition": [ENTRY, TABLE, ENTER, SLOTS, TRANSITION];
    Cancel = "cancel": [ENTRY, ENTER, SLOTS];
    Block = "block": [ENTRY, TABLE, ENTER, KNOTS];
    Watch = "watch": [ENTRY];
    Heartbeat = "heartbeat": [ENTRY];
    Introduce = "introduce": [];
    Runners = "runners": [];
    Leave = "leave": [RETIRE];
    Expired = "expired": [ENTRY, RETIRE];
    Lease = "lease": [];
    Want = "want": [];
    Outbox = "outbox": [];
    OutboxDone = "outbox_done": [OUTBOX];
    Outlived = "outlived": [];
    Keep = "keep": [];
    Forget = "forget": [ENTRY, ENTER, OUTBOX];
    Inspect = "inspect": [ENTRY];
    Page = "page": [ENTRY];
    Push = "push": [QUEUE];
    Pop = "pop": [QUEUE];
    Len = "len": [QUEUE];
    Place = "place": [QUEUE];
    PutInvocations = "put_invocations": [FACTS];
    Aged = "aged": [];
    ForgetFacts = "forget_facts": [];
    OpenJournal = "open_journal": [JOURNAL];
    ReadJournal = "journal": [JOURNAL];
    AppendJournal = "append_journal": [];
    WorkflowRuns = "workflow_runs": [];
    Submit = "submit": [ENTRY, ENTER, REGISTER, QUEUE, FACTS];
    ClaimLoad = "claim_load": [ENTRY, TABLE, ENTER, SLOTS, KNOTS, CLAIM];
    Settle = "settle": [ENTRY, TABLE, ENTER, SLOTS, TRANSITION, QUEUE];
    Define = "define": [];
    Undefine = "undefine": [];
    Pause = "pause": [];
    Definitions = "definitions": [];
    AppendEvents = "append_events": [];
    ReadEvents = "events": [];
    TakeEvents = "take_events": [];
    EventsDone = "events_done": [];
    AwaitEvents = "await_events": [];
    Awoken = "awoken": [];
    EndWaits = "end_waits": [];
    PutOccurrences = "put_occurrences": [];
    Occurrences = "occurrences": [];
    Fire = "fire": [];
    Undelivered = "undelivered": [];
    Delivered = "delivered": [];
    Runs = "runs": [];
    ReadWatermarks = "watermarks": [];
    MoveWatermark = "move_watermark": [];
    Expire = "expire": [];
    ContentRenew = "content_renew": [CONTENT];
    ContentRead = "content_read": [CONTENT];
    Now = "now": [];
}

static SCRIPTS: LazyLock<Vec<Script>> = LazyLock::new(|| {
    let sources = SOURCES.iter().map(|(_, parts, verb)| assembled(parts, verb));
    sources.map(|source| Script::new(&source)).collect()
});

impl Verb {
    pub(crate) fn script(self) -> &'static Script {
        &SCRIPTS[self as usize]
    }

    pub(crate) const fn name(self) -> &'static str {
        SOURCES[self as usize].0
    }
}

/// A status as scripts and stored entries have it.
pub(crate) const fn status_code(status: Status) -> u8 {
    status as u8 + 1
}

/// A reason as scripts and stored entries have it.
pub(crate) const fn reason_code(reason: Reason) -> u8 {
    reason as u8 + 1
}

fn assembled(parts: &[&str], verb: &str) -> String {
    let mut script = String::new();
    let lines = parts.iter().chain([&verb]).flat_map(|part| part.lines());
    for line in lines.filter(|line| !line.trim_start().starts_with("--")) {
        inline(line, &mut script);
        script.push('\n');
    }
    script
}

/// Copies a line, with the names that stand for literals in their place.
fn inline(source: &str, script: &mut String) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = source;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let word = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
        let behind = &rest[word.len()..];
        if word.is_empty() {
            script.push(c);
            rest = &rest[c.len_utf8()..];
            before = c;
            continue;
        }
        let name =
            behind.strip_prefix('.').filter(|_| before != '.' && matches!(word, "K" | "S" | "R" | "A" | "E" | "T"));
        let Some(name) = name else {
            script.push_str(word);
            (rest, before) = (behind, 'w');
            continue;
        };
        let name = &name[..name.find(|c| !is_word(c)).unwrap_or(name.len())];
        script.push_str(&literal(word, name).expect("a test knows that every script names what there is"));
        (rest, before) = (&behind[1 + name.len()..], 'w');
    }
}

fn literal(namespace: &str, name: &str) -> Option<String> {
    match namespace {
        "K" => Key::ALL.iter().find(|(key, _)| *key == name).map(|(_, text)| format!("P..'{text}'")),
        "S" => name.parse().ok().map(|status| status_code(status).to_string()),
        "R" => name.parse().ok().map(|reason| reason_code(reason).to_string()),
        "E" => FIELDS.iter().position(|field| *field == name).map(|place| (place + 1).to_string()),
        "A" => actor(name).map(|bit| bit.to_string()),
        _ => table(name),
    }
}

/// Actors are bits, so that a cell of the table says who may take an edge.
fn actor(name: &str) -> Option<u8> {
    match name {
        "claimer" => Some(CLAIMER),
        "owner" => Some(OWNER),
        "system" => Some(SYSTEM),
        _ => None,
    }
}

pub(crate) const CLAIMER: u8 = 1;
pub(crate) const OWNER: u8 = 2;
pub(crate) const SYSTEM: u8 = 4;

fn table(name: &str) -> Option<String> {
    match name {
        "edges" => Some(format!("'{}'", edges())),
        "statuses" => Some(Status::ALL.len().to_string()),
        "claimable" => Some(set_of(Status::is_claimable)),
        "owned" => Some(set_of(Status::is_owned)),
        "final" => Some(set_of(Status::is_final)),
        "raised" => Some(Priority::default().raised(1).level().to_string()),
        "first_lease" => Some(FIRST_LEASE_MILLIS.to_string()),
        "remembered_leases" => Some(REMEMBERED_LEASES.to_string()),
        _ => None,
    }
}

/// A digit for every pair of statuses: who may go from the one to the other.
fn edges() -> String {
    let pairs = Status::ALL.iter().flat_map(|from| Status::ALL.iter().map(move |to| (*from, *to)));
    pairs.map(|(from, to)| char::from(b'0' + actors_of(from, to))).collect()
}

fn actors_of(from: Status, to: Status) -> u8 {
    let edge = EDGES.iter().find(|edge| edge.from == from && edge.to == to);
    edge.map_or(0, |edge| match edge.actors {
        Actors::Claimer => CLAIMER,
        Actors::Owner => OWNER,
        Actors::System => SYSTEM,
        Actors::OwnerOrSystem => OWNER | SYSTEM,
        Actors::ClaimerOrSystem => CLAIMER | SYSTEM,
    })
}

fn set_of(holds: impl Fn(Status) -> bool) -> String {
    let digits: String = Status::ALL.iter().map(|status| if holds(*status) { '1' } else { '0' }).collect();
    format!("'{digits}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_names_what_there_is() {
        for (name, parts, verb) in SOURCES {
            let script = assembled(parts, verb);
            assert!(script.contains("P..'"), "{name}");
        }
    }

    #[test]
    fn names_become_literals() {
        let mut script = String::new();
        inline("call('GET', K.entry .. id) == S.registered, x.E.at, e[E.raw], T.statuses", &mut script);
        assert_eq!(script, "call('GET', P..'o:i' .. id) == 1, x.E.at, e[1], 12");
    }

    #[test]
    fn a_cell_says_who_may_take_an_edge() {
        assert_eq!(actors_of(Status::Registered, Status::Pending), CLAIMER);
        assert_eq!(actors_of(Status::Running, Status::Failed), OWNER | SYSTEM);
        assert_eq!(actors_of(Status::Success, Status::Running), 0);
    }

    /// Codes are stored: a new status or reason goes to the end, and none is renamed or taken out.
    #[test]
    fn codes_stay_what_they_are() {
        let statuses: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
        let reasons: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(
            statuses.join(" "),
            "registered scheduled concurrency_controlled rerouted pending running paused retry success failed \
             cancelled concurrency_controlled_final"
        );
        assert_eq!(
            reasons.join(" "),
            "submitted claimed started waiting resumed put_aside woken slot_taken slot_handed_over returned raised \
             timed_out cancel_requested shutdown owner_lost claim_lost poison_pill unknown_task corrupt_record \
             arguments_unavailable result_rejected wait_cycle non_determinism"
        );
    }
}
