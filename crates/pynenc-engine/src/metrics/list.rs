//! The list of all metrics. Exporters, the documentation and its tests read it.
//!
//! Names follow the conventions of Prometheus and OpenTelemetry: base units (seconds, bytes), `_total` for counters. No
//! label has an id as its value, so the number of series is bounded by the app's code and settings.

use metrics::Unit;

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A number that only grows while the process runs.
    Counter,
    /// A number at the present time.
    Gauge,
    /// A distribution, counted in buckets with these upper bounds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The name of the kind, as Prometheus spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// A metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The name.
    pub name: &'static str,
    /// The kind.
    pub kind: Kind,
    /// The unit of the value.
    pub unit: Unit,
    /// The names of the labels.
    pub labels: &'static [&'static str],
    /// The description, without a full stop.
    pub help: &'static str,
}

/// Durations in seconds, from 1 ms to 1 h.
pub const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
    1800.0, 3600.0,
];

/// Sizes in bytes, from 64 B to 64 MiB.
pub const BYTES: &[f64] =
    &[64.0, 256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0, 67_108_864.0];

/// Numbers of items, from 1 to 10,000.
pub const ITEMS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0];

macro_rules! metrics {
    ($($constant:ident: $name:literal, $kind:expr, $unit:ident, [$($label:literal),*], $help:literal;)+) => {
        $(
            #[doc = concat!("`", $name, "`: ", $help, ".")]
            pub const $constant: Metric =
                Metric { name: $name, kind: $kind, unit: Unit::$unit, labels: &[$($label),*], help: $help };
        )+

        /// Every metric.
        pub const ALL: &[Metric] = &[$($constant),+];
    };
}

metrics! {
    SUBMITTED: "pynenc_invocations_submitted_total", Kind::Counter, Count, ["queue", "task"],
        "Invocations that were created by this process";
    STARTED: "pynenc_attempts_started_total", Kind::Counter, Count, ["queue", "task"],
        "Attempts whose task function was started by this process";
    FINISHED: "pynenc_invocations_finished_total", Kind::Counter, Count, ["queue", "task", "status", "error_kind"],
        "Invocations that got their final status from this process; error_kind is empty unless the status is failed";
    RETRIED: "pynenc_invocations_retried_total", Kind::Counter, Count, ["queue", "task", "error_kind"],
        "Failed attempts that are followed by a retry";
    RECOVERED: "pynenc_invocations_recovered_total", Kind::Counter, Count, ["queue", "task"],
        "Invocations of lost runners that this process returned to their queues";
    POISON_PILLS: "pynenc_poison_pills_total", Kind::Counter, Count, ["queue", "task"],
        "Invocations that this process failed because they took down too many runners";
    LOST_CLAIMS: "pynenc_claims_lost_total", Kind::Counter, Count, ["queue", "task"],
        "Attempts whose outcome was refused because another runner had taken over the invocation";
    LEASES_LOST: "pynenc_leases_lost_total", Kind::Counter, Count, [],
        "Times that a runner of this process couldn't renew its lease in time or was retired by others";
    WAIT: "pynenc_invocation_wait_seconds", Kind::Histogram(SECONDS), Seconds, ["queue", "task"],
        "Time from the due time of an invocation, which is its submit unless the caller chose a delay, to the start of its first attempt";
    RUN: "pynenc_attempt_duration_seconds", Kind::Histogram(SECONDS), Seconds, ["queue", "task"],
        "Time from the start of a task function to its end, with its waits for other invocations";
    ARGUMENTS: "pynenc_invocation_arguments_bytes", Kind::Histogram(BYTES), Bytes, ["queue", "task"],
        "Size of the serialized arguments of an invocation, with those in the argument cache";
    RESULT: "pynenc_invocation_result_bytes", Kind::Histogram(BYTES), Bytes, ["queue", "task"],
        "Size of the serialized result of an invocation";
    STORE_DURATION: "pynenc_store_operation_duration_seconds", Kind::Histogram(SECONDS), Seconds, ["operation"],
        "Duration of a round trip to the stores, successful or not";
    STORE_ERRORS: "pynenc_store_errors_total", Kind::Counter, Count, ["operation", "error_kind"],
        "Round trips to the stores that failed";
    RECONNECTS: "pynenc_store_reconnects_total", Kind::Counter, Count, [],
        "Connections that the stores of this process opened in place of lost ones; of Redis those for commands, heartbeats and notifications";
    SLOTS: "pynenc_runner_slots", Kind::Gauge, Count, [],
        "Slots of the runner in this process";
    SLOTS_USED: "pynenc_runner_slots_used", Kind::Gauge, Count, [],
        "Slots that are taken by task functions in this process";
    PAUSED: "pynenc_runner_paused_attempts", Kind::Gauge, Count, [],
        "Attempts in this process that wait for other invocations and hold no slot";
    ABANDONED_THREADS: "pynenc_runner_abandoned_threads", Kind::Gauge, Count, [],
        "Threads that are still occupied by plain task functions after a timeout or a cancel";
    INVOCATIONS: "pynenc_invocations", Kind::Gauge, Count, ["status"],
        "Invocations of the app by status, unfinished or within their retention";
    WAITING: "pynenc_queue_waiting_invocations", Kind::Gauge, Count, ["queue"],
        "Invocations of the app that wait in a queue, due or not";
    READY: "pynenc_queue_ready_invocations", Kind::Gauge, Count, ["queue"],
        "Invocations of the app that a runner could claim now, by the hints of the broker";
    DELAYED: "pynenc_queue_delayed_invocations", Kind::Gauge, Count, ["queue"],
        "Invocations of the app that become due later, by the hints of the broker";
    OLDEST_READY: "pynenc_queue_oldest_ready_age_seconds", Kind::Gauge, Seconds, ["queue"],
        "Time for which the oldest ready invocation of a queue has been ready; 0 if none is ready";
    RUNNERS: "pynenc_runners", Kind::Gauge, Count, [],
        "Runners of the app that are alive";
    APP_SLOTS: "pynenc_slots", Kind::Gauge, Count, [],
        "Slots of all runners of the app that are alive";
    TRIGGER_FIRINGS: "pynenc_trigger_firings_total", Kind::Counter, Count, ["task"],
        "Runs of triggers that this process fired, by the task that they call";
    TRIGGER_FAILURES: "pynenc_trigger_failures_total", Kind::Counter, Count, ["task"],
        "Runs of triggers that made no call, because a filter or the code that makes the call failed";
    MISSED_SLOTS: "pynenc_trigger_missed_slots_total", Kind::Counter, Count, ["task"],
        "Slots of schedules that were skipped because no runner was there at their time";
    TRIGGER_REACTION: "pynenc_trigger_reaction_seconds", Kind::Histogram(SECONDS), Seconds, ["task"],
        "Time from the event, the completion or the slot that fired a trigger to the submit of its call";
    JOURNAL_ENTRIES: "pynenc_workflow_journal_entries", Kind::Histogram(ITEMS), Count, ["task"],
        "Number of recorded operations in a journal when a run of the workflow opens it";
    REPLAYS: "pynenc_workflow_replays_total", Kind::Counter, Count, ["task"],
        "Runs of workflows that began with recorded operations";
    NON_DETERMINISM: "pynenc_workflow_non_determinism_total", Kind::Counter, Count, ["queue", "task"],
        "Runs of workflows that failed because their code doesn't match their journal";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_follow_the_conventions() {
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len(), "every name is used once");
        for Metric { name, kind, unit, labels, help } in ALL {
            assert!(name.starts_with("pynenc_"), "{name}");
            // The exporter for Prometheus replaces other characters, and then two names may become one.
            assert!(name.chars().all(|char| char.is_ascii_lowercase() || char == '_'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_seconds"), *unit == Unit::Seconds, "{name}");
            assert_eq!(name.ends_with("_bytes"), *unit == Unit::Bytes, "{name}");
            assert!(!help.ends_with('.'), "{name}");
            let known = ["queue", "task", "status", "error_kind", "operation"];
            assert!(labels.iter().all(|label| known.contains(label)), "{name}: a label whose values are bounded");
        }
    }

    #[test]
    fn buckets_grow() {
        assert!([SECONDS, BYTES, ITEMS].iter().all(|bounds| bounds.is_sorted_by(|a, b| a < b)));
        assert_eq!((SECONDS.first(), SECONDS.last()), (Some(&0.001), Some(&3600.0)));
    }
}
