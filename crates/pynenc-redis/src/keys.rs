//! Every key there is: no other place names one.
//!
//! A key is the app's prefix, `{app_id}:`, whose braces keep an app in one slot of a cluster; the letters of the
//! component; and for many the 16 bytes of an id. Scripts write a key as `K.name`.

use std::sync::Arc;

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident = $lua:literal, $text:literal;)+) => {
        /// What a key is for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(dead_code, reason = "many are built by scripts alone")]
        pub(crate) enum Key { $($(#[$doc])* $name),+ }

        impl Key {
            /// Every key's name in scripts, and what stands for it.
            pub(crate) const ALL: &'static [(&'static str, &'static str)] = &[$(($lua, $text)),+];

            const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

keys! {
    /// Never written: dropping it is a write without effect.
    Nothing = "nothing", "nothing";
    /// Milliseconds that tests have moved the clock ahead.
    Clock = "clock", "clock";

    /// By invocation: its header, facts and history.
    Entry = "entry", "o:i";
    /// By invocation: what its history says beyond the reasons, by version.
    Details = "details", "o:d";
    /// What is queued, by the time of its registration.
    Queued = "queued", "o:q";
    /// What isn't queued, by the time of its registration.
    Rest = "rest", "o:r";
    /// Invocations that have ended without a value, by the time of their registration.
    Unsuccessful = "unsuccessful", "o:w";
    /// By length of retention, in milliseconds: what has ended, in that order.
    Retained = "retained", "o:t";
    /// The lengths of retention that something is kept for.
    Lengths = "lengths", "o:0";
    /// What has ended and is kept for longer, by the end of that.
    KeptLonger = "kept_longer", "o:9";
    /// How many there are: queued or not, by status and queue.
    Counts = "counts", "o:c";
    /// Who waits with a registration key.
    Waiting = "waiting", "o:k";
    /// What an idempotency key stands for.
    Names = "names", "o:n";
    /// By invocation: the idempotency keys that stand for it.
    Named = "named", "o:m";
    /// By running key: who holds a slot.
    Holders = "holders", "o:h";
    /// By running key: who waits for a slot.
    Parked = "parked", "o:p";
    /// The last place in a line of parked ones.
    Turn = "turn", "o:u";
    /// By invocation: what it waits for.
    Awaits = "awaits", "o:a";
    /// By invocation: who waits for it.
    Awaited = "awaited", "o:b";
    /// The runners.
    Runners = "runners", "o:e";
    /// Runners by the end of their lease.
    Leases = "leases", "o:l";
    /// Retired runners by the time of their retirement.
    Retired = "retired", "o:x";
    /// By runner: what it owns.
    Owned = "owned", "o:o";
    /// By runner: what it was asked to cancel.
    Cancels = "cancels", "o:v";
    /// By runner: what it said of itself.
    Introductions = "introductions", "o:6";
    /// The last heartbeat of any runner, and the end of the amnesty.
    Alive = "alive", "o:y";
    /// Who performs a service, and until when.
    Services = "services", "o:s";
    /// Which ends are wanted in the outbox, by whom and until when; no purge drops it.
    Wanted = "wanted", "k:w";
    /// The entries of the outbox.
    Outbox = "outbox", "o:g";
    /// The last place in the outbox.
    OutboxLast = "outbox_last", "o:f";
    /// By listener: entries that nobody was offered.
    Fresh = "fresh", "o:j";
    /// By listener: entries by the time of their last offer.
    Offered = "offered", "o:z";
    /// By invocation: the places of its entries in the outbox.
    Noted = "noted", "o:5";
    /// By invocation: the channels of those who want to know its end.
    Watchers = "watchers", "o:1";
    /// A channel: what concerns every process.
    News = "news", "o:2";
    /// A channel by runner: what concerns it alone.
    Signals = "signals", "o:3";
    /// A channel by process: ends that it asked for.
    Ends = "ends", "o:4";

    /// By queue: what is ready.
    Ready = "ready", "b:r";
    /// By queue: what is due later.
    Delayed = "delayed", "b:d";
    /// By queue: tokens that wake poppers.
    Wake = "wake", "b:w";
    /// The last place in a queue.
    Sequence = "sequence", "b:s";

    /// By invocation: what was called.
    Record = "record", "s:r";
    /// By invocation: its outcomes, by epoch.
    Outcomes = "outcomes", "s:o";
    /// By invocation: those that its body called.
    Children = "children", "s:c";
    /// Records by the time they were put.
    Aged = "aged", "s:a";
    /// By invocation: the fence of its journal, and the place of each position.
    Fence = "fence", "s:f";
    /// By invocation: the entries of its journal.
    Journal = "journal", "s:j";
    /// The runs of workflows, by the time they were first opened.
    WorkflowRuns = "workflow_runs", "s:w";
    /// By workflow: its data.
    Data = "data", "s:d";

    /// The definitions of triggers.
    Definitions = "definitions", "k:d";
    /// The triggers that are paused.
    Paused = "paused", "k:p";
    /// The last place in the log of events.
    EventLast = "event_last", "k:e";
    /// The log of events.
    Events = "events", "t:e";
    /// By name: the places of its events.
    NamedEvents = "named_events", "t:n";
    /// Events by the time of their append.
    EventAges = "event_ages", "t:a";
    /// By listener: the last event that it was offered.
    Listeners = "listeners", "t:i";
    /// Listeners by the time they last asked.
    ListenerAges = "listener_ages", "t:g";
    /// By listener: events by the time of their last offer, until they are done.
    Taken = "taken", "t:k";
    /// By name: the last event that any listener was offered.
    Heard = "heard", "t:h";
    /// By name and key: the places of its events.
    KeyedEvents = "keyed_events", "t:1";
    /// By name, and key where one is waited for: who waits for the next event.
    EventWaits = "event_waits", "t:2";
    /// By invocation: what it waits for.
    WaitsOf = "waits_of", "t:3";
    /// Heaps of those whose event has come, each with what they waited for.
    Heaps = "heaps", "t:4";
    /// By number: a heap of those whose event has come.
    Heap = "heap", "t:5";
    /// The last heap.
    HeapLast = "heap_last", "t:6";
    /// Those whose event has come, by the time of the last offer.
    Awoken = "awoken", "t:7";
    /// The occurrences.
    Occurrences = "occurrences", "t:o";
    /// By condition and trigger: the occurrences that wait.
    Occurred = "occurred", "t:w";
    /// Occurrences that wait, by when nobody will ask for them.
    OccurrenceEnds = "occurrence_ends", "t:q";
    /// Used-up occurrences by the time of their use.
    Used = "used", "t:u";
    /// The runs.
    Runs = "runs", "t:r";
    /// By trigger: its runs, by the time of their firing.
    Fired = "fired", "t:f";
    /// Runs whose calls weren't seen to, by the time of their firing.
    Open = "open", "t:p";
    /// Runs that are over, by when.
    Delivered = "delivered", "t:s";
    /// What became of calls.
    Deliveries = "deliveries", "t:v";
    /// How far schedules were looked at.
    Watermarks = "watermarks", "t:m";
    /// The last place among occurrences and runs.
    TriggerLast = "trigger_last", "t:l";

    /// By digest: content.
    Content = "content", "a:";
}

/// The part of the keys that one component has, and purges.
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

    /// What every key starts with, which scripts declare as their one key.
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

    /// The pattern of a component's keys. An app id has no character that a pattern gives a meaning.
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
    fn a_key_carries_the_app_as_its_hash_tag() {
        let keys = Keys::new("shop");
        assert_eq!(keys.of(Key::Entry, &[7; 2]), b"{shop}:o:i\x07\x07");
        assert_eq!(keys.pattern(Family::Broker), "{shop}:b:*");
    }

    #[test]
    fn no_two_keys_are_the_same() {
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

    /// A single-node cluster accepts keys of any slot, so this is looked for in the sources.
    #[test]
    fn no_other_file_builds_a_key() {
        for (file, source) in sources("src", "rs").iter().chain(&sources("src/orchestrator", "rs")) {
            if !file.ends_with("keys.rs") {
                assert!(!source.contains("prefix()") || file.ends_with("client.rs"), "{file} builds a key");
                let braces = source.contains(concat!("\"{", "{{")) || source.contains(concat!("}}", "}:"));
                assert!(!braces, "{file} builds a key");
            }
        }
        for (file, source) in sources("scripts", "lua").iter().chain(&sources("scripts/lib", "lua")) {
            let is_prelude = file.ends_with("prelude.lua");
            assert!(is_prelude || !source.contains("KEYS"), "{file} names a key that isn't declared");
            for (_, command) in source.match_indices("call('").map(|(at, _)| source.split_at(at)) {
                check_command(file, command.lines().next().unwrap());
            }
        }
    }

    /// The first argument of a command that has a key is one of the declared ones, or came in by a variable.
    fn check_command(file: &str, line: &str) {
        let keyless = ["call('TIME')"];
        let key = line.split_once("', ").map_or("", |(_, rest)| rest);
        let first = key.chars().next().unwrap_or(' ');
        let is_named = key.starts_with("K.") || first.is_ascii_lowercase();
        assert!(is_named || keyless.iter().any(|command| line.starts_with(command)), "{file}: {line}");
    }
}
