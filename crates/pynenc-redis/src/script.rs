//! The scripts: one for each verb, put together from the parts it uses.
//!
//! `K.name` stands for a key, `S.name` for a status, `R.name` for a reason, `A.name` for an actor, `E.name` for a field of
//! an entry and `T.name` for a table or a constant. Each becomes a literal here, so that a script spends no time on
//! naming things, and the life cycle that scripts go by is the one table of the core.

use std::sync::LazyLock;

use pynenc_core::record::Priority;
use pynenc_core::status::{Actors, EDGES};
use pynenc_core::{Reason, Status};
use rustc_hash::FxHashSet;

use crate::keys::Key;

/// The lease of a runner that claims before its first heartbeat: what it claims must not be lost with it.
const FIRST_LEASE_MILLIS: u64 = 15_000;
/// An outcome of so many bytes at most goes with the news of its invocation's end.
const PUSHED_OUTCOME: usize = 4096;
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
            &[include_str!("../scripts/lib/prelude.lua"), CLOCK, MEMORY, $($part),*],
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
    OUTBOX = "outbox"; OUTCOMES = "outcomes"; POP = "pop"; BLOCK = "block";
    WATCH = "watch"; ALIKE = "alike"; SUBMIT = "submit"; JOURNAL = "journal";
    MEMORY = "memory"; FLAGGED_MEMORY = "flagged_memory";
}

scripts! {
    Register = "register": [ENTRY, ENTER, REGISTER];
    Claim = "claim": [ENTRY, TABLE, ENTER, ALIKE, SLOTS, KNOTS, CLAIM];
    Transition = "transition": [ENTRY, TABLE, ENTER, ALIKE, SLOTS, TRANSITION];
    Cancel = "cancel": [ENTRY, ENTER, SLOTS];
    Block = "block": [ENTRY, TABLE, ENTER, KNOTS, BLOCK];
    Watch = "watch": [ENTRY, WATCH];
    Heartbeat = "heartbeat": [ENTRY];
    Introduce = "introduce": [];
    Runners = "runners": [];
    Leave = "leave": [RETIRE];
    Expired = "expired": [ENTRY, RETIRE];
    Lease = "lease": [];
    Want = "want": [];
    Outbox = "outbox": [];
    OutboxDone = "outbox_done": [OUTBOX];
    Outlived = "outlived": [ENTRY];
    Keep = "keep": [ENTRY, ENTER];
    Forget = "forget": [ENTRY, ENTER, OUTBOX];
    Inspect = "inspect": [ENTRY];
    Page = "page": [ENTRY];
    Push = "push": [QUEUE];
    Pop = "pop": [QUEUE, POP];
    Len = "len": [QUEUE];
    Place = "place": [QUEUE];
    PutInvocations = "put_invocations": [ENTRY, FACTS];
    PutOutcomes = "put_outcomes": [ENTRY, ENTER, OUTCOMES];
    Aged = "aged": [];
    ForgetFacts = "forget_facts": [];
    OpenJournal = "open_journal": [JOURNAL];
    ReadJournal = "journal": [JOURNAL];
    AppendJournal = "append_journal": [];
    WorkflowRuns = "workflow_runs": [];
    Submit = "submit": [ENTRY, ENTER, ALIKE, REGISTER, QUEUE, FACTS, SUBMIT];
    Call = "call": [ENTRY, TABLE, ENTER, ALIKE, SLOTS, KNOTS, CLAIM, REGISTER, QUEUE, FACTS, SUBMIT, BLOCK, WATCH];
    ClaimLoad = "claim_load": [ENTRY, TABLE, ENTER, ALIKE, SLOTS, KNOTS, CLAIM];
    Take = "take": [ENTRY, TABLE, ENTER, ALIKE, SLOTS, KNOTS, CLAIM, QUEUE, POP];
    Settle = "settle": [ENTRY, TABLE, ENTER, ALIKE, SLOTS, TRANSITION, QUEUE, OUTCOMES];
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

/// What a verb on the way of every invocation is called by, where the server keeps functions: what a function needs is
/// made once, and not in each run of a script.
const FUNCTIONS: [Verb; 8] =
    [Verb::Submit, Verb::Call, Verb::Take, Verb::ClaimLoad, Verb::Settle, Verb::Transition, Verb::Watch, Verb::Block];

/// The parts of functions, in an order in which each stands behind what it uses.
const PARTS: [&str; 19] = [
    include_str!("../scripts/lib/prelude.lua"),
    CLOCK,
    FLAGGED_MEMORY,
    ENTRY,
    TABLE,
    ENTER,
    ALIKE,
    SLOTS,
    KNOTS,
    CLAIM,
    REGISTER,
    TRANSITION,
    QUEUE,
    FACTS,
    OUTCOMES,
    POP,
    BLOCK,
    WATCH,
    SUBMIT,
];

static SCRIPTS: LazyLock<Vec<Script>> = LazyLock::new(|| {
    let sources = SOURCES.iter().map(|(_, parts, verb)| assembled(parts, verb));
    sources.map(Script::new).collect()
});

/// A script, as a server loads it.
pub(crate) struct Script {
    pub(crate) code: String,
    /// The name that the server gives it.
    pub(crate) hash: String,
}

impl Script {
    fn new(code: String) -> Self {
        Self { hash: hash_of(&code), code }
    }
}

fn hash_of(code: &str) -> String {
    redis::Script::new(code).get_hash().to_owned()
}

impl Verb {
    pub(crate) fn script(self) -> &'static Script {
        &SCRIPTS[self as usize]
    }

    /// The name of its function, if it has one.
    pub(crate) fn function(self) -> Option<&'static str> {
        let place = FUNCTIONS.iter().position(|verb| *verb == self)?;
        Some(&library().names[place])
    }

    pub(crate) const fn name(self) -> &'static str {
        SOURCES[self as usize].0
    }
}

/// The functions, as a server loads them. Its name and theirs tell what is in it, so that programs of several versions
/// find their own on one server.
pub(crate) struct Library {
    pub(crate) code: String,
    names: Vec<String>,
}

pub(crate) fn library() -> &'static Library {
    static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
        let mark = hash_of(&functions(""))[..12].to_owned();
        let names = FUNCTIONS.iter().map(|verb| format!("{}_{mark}", verb.name())).collect();
        Library { code: functions(&mark), names }
    });
    &LIBRARY
}

fn functions(mark: &str) -> String {
    let parts: Vec<_> = PARTS.iter().flat_map(|part| statements(part)).collect();
    let verbs = FUNCTIONS.map(|verb| (verb, statements(SOURCES[verb as usize].2)));
    let bodies = verbs.iter().flat_map(|(_, body)| body.clone()).collect();
    let mut code = String::new();
    code.extend(["#!lua name=pynenc_", mark, "\n"]);
    for statement in used(parts.clone(), bodies).iter().filter(|statement| parts.contains(statement)) {
        match names_of_state(statement) {
            Some((names, _)) => code.extend(["local ", names, "\n"]),
            None => inline_all(statement, &mut code),
        }
    }
    for (verb, body) in verbs {
        let (name, flags) = (verb.name(), if refuses_without_memory(verb) { "" } else { "'allow-oom'" });
        code.extend([
            "redis.register_function{function_name = '",
            name,
            "_",
            mark,
            "', callback = function(KEYS, ARGV)\n",
        ]);
        add_body(&parts, body, &mut code);
        code.extend(["end, flags = {", flags, "}}\n"]);
    }
    code
}

/// What a verb does, behind the state of its parts, which begins anew in each run.
fn add_body(parts: &[Vec<&str>], body: Vec<Vec<&str>>, code: &mut String) {
    for statement in used(parts.to_vec(), body) {
        if !parts.contains(&statement) {
            inline_all(&statement, code);
        } else if let Some((names, value)) = names_of_state(&statement) {
            inline_all(&[&format!("{names} = {value}")], code);
        }
    }
}

/// Whether a verb takes something new, and writes nothing where there is no room for it.
fn refuses_without_memory(verb: Verb) -> bool {
    matches!(verb, Verb::Submit | Verb::Call)
}

/// What a part declares under this name outlives the run, where the server keeps functions.
const LASTING: &str = "lasting";

/// The names and values of what a part declares anew for each run: all but functions, literals and what is lasting.
fn names_of_state<'a>(statement: &[&'a str]) -> Option<(&'a str, &'a str)> {
    let declared = statement[0].strip_prefix("local ").filter(|rest| !rest.starts_with("function "))?;
    let Some((names, value)) = declared.split_once(" = ") else { return Some((declared, "nil")) };
    if names == LASTING {
        return None;
    }
    let is_made =
        value.contains(['{', '(']) || ["redis.", "struct.", "string.", "KEYS"].iter().any(|it| value.contains(it));
    is_made.then_some((names, value))
}

fn inline_all(lines: &[&str], script: &mut String) {
    for line in lines {
        inline(line, script);
        script.push('\n');
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

/// What a verb uses of its parts, and itself: a function that is made and not called costs time in each run.
fn assembled(parts: &[&str], verb: &str) -> String {
    let mut script = String::new();
    for statement in used(parts.iter().flat_map(|part| statements(part)).collect(), statements(verb)) {
        inline_all(&statement, &mut script);
    }
    script
}

/// The statements of a script that aren't inside another one, line by line and without comments.
fn statements(source: &str) -> Vec<Vec<&str>> {
    let mut statements: Vec<Vec<&str>> = Vec::new();
    for line in source.lines().filter(|line| !line.is_empty() && !line.trim_start().starts_with("--")) {
        let goes_on = line.starts_with([' ', ')', '}']) || ["end", "else", "elseif"].contains(&first_word(line));
        match statements.last_mut() {
            Some(statement) if goes_on => statement.push(line),
            _ => statements.push(vec![line]),
        }
    }
    statements
}

/// What is left of the parts when everything is dropped that nothing behind it names.
fn used<'a>(parts: Vec<Vec<&'a str>>, verb: Vec<Vec<&'a str>>) -> Vec<Vec<&'a str>> {
    let mut words: FxHashSet<&str> = verb.iter().flatten().flat_map(|line| words_of(line)).collect();
    // Every key stands for it.
    words.insert("P");
    let mut kept = verb;
    for statement in parts.into_iter().rev() {
        if declared(statement[0]).any(|name| words.contains(name)) {
            words.extend(statement.iter().flat_map(|line| words_of(line)));
            kept.insert(0, statement);
        }
    }
    kept
}

/// The names that a statement of a part declares.
fn declared(line: &str) -> impl Iterator<Item = &str> {
    let line = line.strip_prefix("local ").expect("parts declare, and do nothing");
    let names = line.strip_prefix("function ").map_or_else(|| line.split('=').next(), |rest| rest.split('(').next());
    words_of(names.unwrap_or_default())
}

fn words_of(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !is_word(c)).filter(|word| !word.is_empty())
}

fn first_word(line: &str) -> &str {
    words_of(line).next().unwrap_or_default()
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Copies a line, with the names that stand for literals in their place.
fn inline(source: &str, script: &mut String) {
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
        "pushed_outcome" => Some(PUSHED_OUTCOME.to_string()),
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

    /// The language allows a function 60 values of its surroundings, and a chunk 200 locals.
    #[test]
    fn functions_stay_within_the_limits_of_the_language() {
        let code = &library().code;
        let parts = code.split("redis.register_function").next().unwrap();
        let locals = parts.lines().filter(|line| line.starts_with("local ")).flat_map(declared).count();
        assert!(locals < 200, "{locals} locals");
        for verb in FUNCTIONS {
            assert!(code.contains(&format!("'{}'", verb.function().unwrap())));
        }
    }

    #[test]
    fn names_become_literals() {
        let mut script = String::new();
        inline("call('GET', K.entry .. id) == S.registered, x.E.at, e[E.raw], T.statuses", &mut script);
        assert_eq!(script, "call('GET', P..'o:i' .. id) == 1, x.E.at, e[1], 12");
    }

    #[test]
    fn a_function_that_nothing_calls_is_left_out() {
        let part = "local P = KEYS[1]\nlocal function deep()\n  return P\nend\nlocal function near()\n  return deep()\nend\n\
                    local function other()\n  return near()\nend";
        assert_eq!(
            assembled(&[part], "-- what it does\nreturn near()"),
            "local P = KEYS[1]\nlocal function deep()\n  return P\nend\nlocal function near()\n  return deep()\nend\n\
             return near()\n"
        );
        assert_eq!(assembled(&[part], "return 1"), "local P = KEYS[1]\nreturn 1\n");
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
