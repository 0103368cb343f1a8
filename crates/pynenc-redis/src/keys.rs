//! The keys of the stores. No other file builds a key.
//!
//! A key begins with the app's prefix, `{app_id}:`, whose braces keep an app in one slot of a cluster. Then come the
//! letters of the component and of the key, and for many keys the 16 bytes of an id. Scripts write a key as `K.name`.

use std::sync::Arc;

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident = $lua:literal, $text:literal;)+) => {
        /// The kinds of keys.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(dead_code, reason = "many are built by scripts alone")]
        pub(crate) enum Key { $($(#[$doc])* $name),+ }

        impl Key {
            /// Every key's name in scripts, and its text.
            pub(crate) const ALL: &'static [(&'static str, &'static str)] = &[$(($lua, $text)),+];

            const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

keys! {
    /// Never written: deleting this key is a write without effect.
    Nothing = "nothing", "nothing";
    /// The milliseconds by which tests have moved the clock ahead.
    Clock = "clock", "clock";

    /// By invocation: its entry, which is the header, the registration, the record that the lane stored, and the log.
    Entry = "entry", "o:i";
    /// The layout of the stored data.
    Layout = "layout", "layout";
    /// By number: a chunk of the listing, the ids of invocations in the order of registration.
    Listed = "listed", "o:r";
    /// The chunks of the listing, by the time of their first registration.
    Chunks = "chunks", "o:q";
    /// The number of the present chunk.
    Chunk = "chunk", "o:d";
    /// Queued invocations that were registered without a lane, by the time of registration.
    Waiting = "waiting", "o:8";
    /// Invocations that finished without a value, by the time of registration.
    Unsuccessful = "unsuccessful", "o:w";
    /// By retention in milliseconds: finished invocations, in the order in which they finished.
    Retained = "retained", "o:t";
    /// The retentions that have a list of finished invocations.
    Retentions = "retentions", "o:0";
    /// Invocations whose retention is over and that were offered, by the time of their next offer.
    Outlived = "outlived", "o:9";
    /// The numbers of invocations, by whether they are queued, by status and by queue.
    Counts = "counts", "o:c";
    /// Registration keys, each with the invocation that waits with the key.
    RegistrationKeys = "registration_keys", "o:k";
    /// Idempotency keys, each with its invocation.
    IdempotencyKeys = "idempotency_keys", "o:n";
    /// By invocation: its idempotency keys.
    IdempotencyKeysOf = "idempotency_keys_of", "o:m";
    /// By running key: the holders of its slots.
    Holders = "holders", "o:h";
    /// By running key: the invocations that are parked, in order.
    Parked = "parked", "o:p";
    /// The last position of a parked invocation.
    ParkedLast = "parked_last", "o:u";
    /// By invocation: the invocations it waits for.
    Awaits = "awaits", "o:a";
    /// By invocation: the invocations that wait for it.
    Awaited = "awaited", "o:b";
    /// The runners.
    Runners = "runners", "o:e";
    /// Runners by the end of their lease.
    Leases = "leases", "o:l";
    /// Retired runners by the time of their retirement.
    Retired = "retired", "o:x";
    /// By runner: the invocations it owns.
    Owned = "owned", "o:o";
    /// By runner: its invocations with a cancel request.
    Cancels = "cancels", "o:v";
    /// The introductions of runners.
    Introductions = "introductions", "o:6";
    /// The time of the last heartbeat of any runner, and the end of the amnesty.
    Alive = "alive", "o:y";
    /// The leases of services: the holder and the end.
    Services = "services", "o:s";
    /// By final status and task: the listeners of the outbox and when their subscriptions expire. No purge deletes
    /// them.
    Interests = "interests", "k:w";
    /// The entries of the outbox.
    Outbox = "outbox", "o:g";
    /// The last position in the outbox.
    OutboxLast = "outbox_last", "o:f";
    /// By listener: outbox entries that were never offered.
    Fresh = "fresh", "o:j";
    /// By listener: outbox entries by the time of their last offer.
    Offered = "offered", "o:z";
    /// By invocation: the positions of its entries in the outbox.
    OutboxEntries = "outbox_entries", "o:5";
    /// By invocation: the channels of the processes that watch it.
    Watchers = "watchers", "o:1";
    /// A channel: messages for every process.
    Notifications = "notifications", "o:2";
    /// A channel by runner: signals.
    Signals = "signals", "o:3";
    /// A channel by process: completions that the process watches.
    Completions = "completions", "o:4";

    /// By queue: ready hints.
    Ready = "ready", "b:r";
    /// By queue: delayed hints.
    Delayed = "delayed", "b:d";
    /// By queue: the tokens that wake blocked pops.
    Wake = "wake", "b:w";
    /// The last position in a queue.
    Sequence = "sequence", "b:s";

    /// By invocation: the record of its call, if it was stored without a lane.
    Record = "record", "s:r";
    /// By invocation: the outcomes that were stored without a lane.
    Outcomes = "outcomes", "s:o";
    /// By invocation: the invocations that its task function called.
    Children = "children", "s:c";
    /// Records by the time they were put.
    RecordAges = "record_ages", "s:a";
    /// By invocation: the header of its journal, with the fence and the index of each position's entry.
    Fence = "fence", "s:f";
    /// By invocation: the entries of its journal.
    Journal = "journal", "s:j";
    /// The runs of workflows, by the time of their first opening.
    WorkflowRuns = "workflow_runs", "s:w";
    /// By workflow: its data.
    Data = "data", "s:d";

    /// The definitions of triggers.
    Definitions = "definitions", "k:d";
    /// The paused triggers.
    Paused = "paused", "k:p";
    /// The last position in the event log.
    EventLast = "event_last", "k:e";
    /// The event log.
    Events = "events", "t:e";
    /// By name: the positions of its events.
    NamedEvents = "named_events", "t:n";
    /// Events by the time of their append.
    EventAges = "event_ages", "t:a";
    /// By listener: the last event that it was offered.
    Listeners = "listeners", "t:i";
    /// Listeners by the time of their last request.
    ListenerAges = "listener_ages", "t:g";
    /// By listener: unacknowledged events by the time of their last offer.
    OfferedEvents = "offered_events", "t:k";
    /// By name: the last event that any listener was offered.
    LastOffered = "last_offered", "t:h";
    /// By name and key: the positions of its events.
    KeyedEvents = "keyed_events", "t:1";
    /// By name, and key if the wait has one: the invocations that wait for the next event.
    EventWaits = "event_waits", "t:2";
    /// By invocation: its waits for events.
    EventWaitsOf = "event_waits_of", "t:3";
    /// The batches of waiters whose event has arrived, each with the name and key of the event.
    ReadyBatches = "ready_batches", "t:4";
    /// By number: a batch of waiters whose event has arrived.
    ReadyBatch = "ready_batch", "t:5";
    /// The number of the last batch.
    ReadyBatchLast = "ready_batch_last", "t:6";
    /// Waiters whose event has arrived, by the time of their last offer.
    ReadyWaiters = "ready_waiters", "t:7";
    /// The occurrences.
    Occurrences = "occurrences", "t:o";
    /// By condition and trigger: the waiting occurrences.
    WaitingOccurrences = "waiting_occurrences", "t:w";
    /// Waiting occurrences by the time when they expire.
    OccurrenceExpiries = "occurrence_expiries", "t:q";
    /// Consumed occurrences by the time of their use.
    ConsumedOccurrences = "consumed_occurrences", "t:u";
    /// The runs of triggers.
    Runs = "runs", "t:r";
    /// By trigger: its runs, by the time of their firing.
    RunsOf = "runs_of", "t:f";
    /// Runs whose call isn't delivered, by the time of their firing.
    Undelivered = "undelivered", "t:p";
    /// Delivered runs and runs without a call, by the time they were done.
    Delivered = "delivered", "t:s";
    /// The results of delivered calls.
    Deliveries = "deliveries", "t:v";
    /// The watermarks of schedules.
    Watermarks = "watermarks", "t:m";
    /// The last position among occurrences and runs.
    TriggerLast = "trigger_last", "t:l";

    /// By digest: content.
    Content = "content", "a:";
}

/// The keys of one component, which its purge deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Broker,
    Orchestrator,
    State,
    Triggers,
    ArgCache,
}

impl Family {
    const fn letter(self) -> char {
        match self {
            Self::Broker => 'b',
            Self::Orchestrator => 'o',
            Self::State => 's',
            Self::Triggers => 't',
            Self::ArgCache => 'a',
        }
    }
}

/// The keys of one app.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: Arc<str>,
}

impl Keys {
    pub(crate) fn new(app_id: &str) -> Self {
        Self { prefix: format!("{{{app_id}}}:").into() }
    }

    /// The prefix of every key, which scripts declare as their one key.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn one(&self, key: Key) -> Vec<u8> {
        self.of(key, b"")
    }

    /// The key of one id or name.
    pub(crate) fn of(&self, key: Key, rest: &[u8]) -> Vec<u8> {
        [self.prefix.as_bytes(), key.text().as_bytes(), rest].concat()
    }

    /// The pattern of a component's keys. An app id has no character with a meaning in patterns.
    pub(crate) fn pattern(&self, family: Family) -> String {
        format!("{}{}:*", self.prefix, family.letter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn a_key_has_the_app_as_its_hash_tag() {
        let keys = Keys::new("shop");
        assert_eq!(keys.of(Key::Entry, &[7; 2]), b"{shop}:o:i\x07\x07");
        assert_eq!(keys.pattern(Family::Broker), "{shop}:b:*");
    }

    #[test]
    fn all_keys_differ() {
        let names: BTreeSet<_> = Key::ALL.iter().map(|(name, _)| name).collect();
        let texts: BTreeSet<_> = Key::ALL.iter().map(|(_, text)| text).collect();
        assert_eq!((names.len(), texts.len()), (Key::ALL.len(), Key::ALL.len()));
    }

    fn sources(folder: &str, extension: &str) -> Vec<(String, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let wanted = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
        wanted.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap())).collect()
    }

    /// A single-node cluster accepts keys of any slot, so this test searches the sources.
    #[test]
    fn no_other_file_builds_a_key() {
        let folders = ["src", "src/client", "src/orchestrator", "src/pubsub", "src/script"];
        for (file, source) in folders.iter().flat_map(|folder| sources(folder, "rs")) {
            if !file.ends_with("keys.rs") {
                assert!(!source.contains("prefix()") || file.ends_with("client.rs"), "{file} builds a key");
                let braces = source.contains(concat!("\"{", "{{")) || source.contains(concat!("}}", "}:"));
                assert!(!braces, "{file} builds a key");
            }
        }
        for (file, source) in sources("scripts", "lua").iter().chain(&sources("scripts/lib", "lua")) {
            let is_prelude = file.ends_with("prelude.lua");
            assert!(is_prelude || !source.contains("KEYS"), "{file} uses a key that isn't declared");
            for (_, command) in source.match_indices("call('").map(|(at, _)| source.split_at(at)) {
                check_command(file, command.lines().next().unwrap());
            }
        }
    }

    /// The first argument of a command with a key is a declared key or a variable.
    fn check_command(file: &str, line: &str) {
        let keyless = ["call('TIME')"];
        let key = line.split_once("', ").map_or("", |(_, rest)| rest);
        let first = key.chars().next().unwrap_or(' ');
        let is_named = key.starts_with("K.") || first.is_ascii_lowercase();
        assert!(is_named || keyless.iter().any(|command| line.starts_with(command)), "{file}: {line}");
    }
}
