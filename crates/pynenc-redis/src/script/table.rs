//! Every script: its name, its source and how the server runs it.

use std::sync::OnceLock;

use super::assembly::script_code;

/// How the server runs a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunsAs {
    /// By `EVALSHA`.
    Script,
    /// By `FCALL` where the server keeps functions: the scripts of the hot path.
    Function,
    /// As a function that needs free memory, because it adds something new.
    FunctionWithMemory,
}

/// A script, named after the trait method that runs it. Every script declares one key: the app's prefix.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) name: &'static str,
    pub(super) source: &'static str,
    pub(super) runs_as: RunsAs,
    assembled: OnceLock<Assembled>,
}

/// A script as the server loads it.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) code: String,
    /// The name that the server gives to the code.
    pub(crate) hash: String,
}

impl Script {
    const fn new(name: &'static str, source: &'static str, runs_as: RunsAs) -> Self {
        Self { name, source, runs_as, assembled: OnceLock::new() }
    }

    pub(crate) fn assembled(&self) -> &Assembled {
        self.assembled.get_or_init(|| {
            let code = script_code(self.source);
            Assembled { hash: hash_of(&code), code }
        })
    }
}

pub(super) fn hash_of(code: &str) -> String {
    redis::Script::new(code).get_hash().to_owned()
}

macro_rules! scripts {
    ($($script:ident = $name:literal $runs_as:ident;)+) => {
        $(pub(crate) static $script: Script =
            Script::new($name, include_str!(concat!("../../scripts/", $name, ".lua")), RunsAs::$runs_as);)+

        pub(super) static ALL: &[&Script] = &[$(&$script),+];
    };
}

scripts! {
    // The lane: several components in one step.
    SUBMIT = "submit" FunctionWithMemory;
    CALL = "call" FunctionWithMemory;
    CLAIM = "claim" Function;
    POP_AND_CLAIM = "pop_and_claim" Function;
    SETTLE = "settle" Function;

    // The orchestrator.
    REGISTER = "register" Script;
    CANCEL = "cancel" Script;
    INSPECT = "inspect" Script;
    FIND = "find" Script;
    BLOCK = "block" Function;
    WATCH = "watch" Function;
    HEARTBEAT = "heartbeat" Function;
    RUNNERS = "runners" Script;
    RETIRE_EXPIRED = "retire_expired" Function;
    ACQUIRE_LEASE = "acquire_lease" Function;
    SUBSCRIBE = "subscribe" Script;
    TAKE_OUTBOX = "take_outbox" Script;
    OUTLIVED = "outlived" Script;
    FORGET = "forget" Script;

    // The broker.
    PUSH = "push" Script;
    POP = "pop" Script;
    QUEUE = "queue" Script;

    // The state backend.
    PUT_INVOCATIONS = "put_invocations" Script;
    PUT_OUTCOMES = "put_outcomes" Script;
    LIST = "list" Script;
    OPEN_JOURNAL = "open_journal" Script;
    JOURNAL = "journal" Script;
    APPEND_JOURNAL = "append_journal" Script;
    FORGET_RECORDS = "forget_records" Script;

    // The trigger store.
    UPDATE_DEFINITIONS = "update_definitions" Script;
    DEFINITIONS = "definitions" Script;
    APPEND_EVENTS = "append_events" Script;
    TAKE_EVENTS = "take_events" Script;
    AWAIT_EVENTS = "await_events" Script;
    TAKE_READY = "take_ready" Script;
    PUT_OCCURRENCES = "put_occurrences" Script;
    FIRE = "fire" Script;
    RUNS = "runs" Script;
    DELIVERED = "delivered" Script;
    WATERMARKS = "watermarks" Script;
    EXPIRE = "expire" Script;

    // The argument cache.
    RENEW_CONTENT = "renew_content" Script;
    GET_CONTENT = "get_content" Script;

    // The clock.
    NOW = "now" Script;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_can_be_assembled_and_uses_keys() {
        for script in ALL {
            assert!(script.assembled().code.contains("P..'"), "{}", script.name);
        }
    }

    #[test]
    fn every_script_has_a_row() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts")).unwrap();
        let files = folder.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        let mut files: Vec<_> = files.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
        let mut names: Vec<_> = ALL.iter().map(|script| script.name).collect();
        files.sort_unstable();
        names.sort_unstable();
        assert_eq!(files, names);
    }
}
