//! The names of the tables.

macro_rules! tables {
    ($($(#[doc = $doc:literal])+ $table:ident = $name:literal,)+) => {
        /// A table: a set of keys in order, each with a value. There is one table for each kind of key.
        ///
        /// The list may grow with a new version, and a table that isn't used any more keeps its name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Table {
            $($(#[doc = $doc])+ $table,)+
        }

        impl Table {
            /// Every table, in the order of their declaration: `Table::ALL[table as usize] == table`.
            pub const ALL: &[Self] = &[$(Self::$table),+];

            /// Returns the table's name: lower-case letters and underscores.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$table => $name,)+
                }
            }
        }
    };
}

tables! {
    /// Single values, such as sequence numbers.
    Meta = "meta",

    /// Orchestrator: invocations with their status and history.
    Entry = "entry",
    /// Orchestrator: all invocations by their registration.
    Registered = "registered",
    /// Orchestrator: queued invocations by their registration.
    Queued = "queued",
    /// Orchestrator: finished invocations by the end of their retention.
    Retained = "retained",
    /// Orchestrator: finished invocations without a value by their registration.
    Unsuccessful = "unsuccessful",
    /// Orchestrator: the number of queued invocations of each queue.
    QueueCount = "queue_count",
    /// Orchestrator: the holders of registration keys.
    RegistrationKey = "registration_key",
    /// Orchestrator: the invocations of idempotency keys.
    IdempotencyKey = "idempotency_key",
    /// Orchestrator: the holders of the slots of each running key.
    SlotHolder = "slot_holder",
    /// Orchestrator: the number of holders of each running key.
    SlotCount = "slot_count",
    /// Orchestrator: the invocations that are parked on each running key, in their order.
    SlotLine = "slot_line",
    /// Orchestrator: the slot that an invocation holds or waits for.
    SlotUse = "slot_use",
    /// Orchestrator: the invocations that a paused one waits for.
    Awaited = "awaited",
    /// Orchestrator: the paused invocations that wait for one.
    Waiter = "waiter",
    /// Orchestrator: runners.
    Runner = "runner",
    /// Orchestrator: the invocations that each runner owns.
    Owned = "owned",
    /// Orchestrator: leases on services.
    Lease = "lease",
    /// Orchestrator: subscriptions to final transitions, by task.
    Subscription = "subscription",
    /// Orchestrator: outbox entries by their number.
    Outbox = "outbox",
    /// Orchestrator: the outbox entries of each listener that weren't offered yet.
    OutboxFresh = "outbox_fresh",
    /// Orchestrator: the outbox entries of each listener by the time of their last offer.
    OutboxOffered = "outbox_offered",
    /// Orchestrator: the outbox entries of each invocation.
    OutboxOf = "outbox_of",

    /// State backend: the records of calls.
    Record = "record",
    /// State backend: all records by the time of their put.
    RecordAge = "record_age",
    /// State backend: the calls of each invocation's task function.
    Child = "child",
    /// State backend: outcomes by invocation and epoch.
    Outcome = "outcome",
    /// State backend: the heads of journals.
    JournalHead = "journal_head",
    /// State backend: the entries of journals by their number.
    Journal = "journal",
    /// State backend: the numbers of journal entries by their position in the workflow.
    JournalPosition = "journal_position",
    /// State backend: workflow runs by their first opening.
    WorkflowRun = "workflow_run",
    /// State backend: values of workflows.
    WorkflowData = "workflow_data",
    /// State backend: the keys of each workflow's values.
    WorkflowKey = "workflow_key",

    /// Broker: hints by queue and invocation.
    Hint = "hint",
    /// Broker: the ready hints of each queue, by priority and order.
    HintReady = "hint_ready",
    /// Broker: the number of ready hints of each queue.
    ReadyCount = "ready_count",
    /// Broker: the delayed hints of each queue, by time.
    HintDelayed = "hint_delayed",
    /// Broker: the number of delayed hints of each queue.
    DelayedCount = "delayed_count",

    /// Trigger store: definitions.
    Definition = "definition",
    /// Trigger store: paused triggers.
    Paused = "paused",
    /// Trigger store: events by their position in the log.
    Event = "event",
    /// Trigger store: the positions of events by time.
    EventTime = "event_time",
    /// Trigger store: the positions of events by name.
    EventName = "event_name",
    /// Trigger store: the positions of events by name and key.
    EventKey = "event_key",
    /// Trigger store: listeners of events.
    EventListener = "event_listener",
    /// Trigger store: events that were offered to each listener and aren't acknowledged.
    EventOffered = "event_offered",
    /// Trigger store: the last event of each name that was offered to any listener.
    EventMark = "event_mark",
    /// Trigger store: the invocations that wait for each event.
    EventWaiter = "event_waiter",
    /// Trigger store: the events that each invocation waits for.
    EventAwaited = "event_awaited",
    /// Trigger store: waiters whose event has arrived, by the time of their last offer.
    EventReady = "event_ready",
    /// Trigger store: the time of the last offer of each waiter whose event has arrived.
    EventOffer = "event_offer",
    /// Trigger store: occurrences.
    Occurrence = "occurrence",
    /// Trigger store: waiting occurrences by condition.
    OccurrenceWaiting = "occurrence_waiting",
    /// Trigger store: consumed occurrences by time.
    OccurrenceConsumed = "occurrence_consumed",
    /// Trigger store: waiting occurrences by the end of their time.
    OccurrenceEnd = "occurrence_end",
    /// Trigger store: runs of triggers.
    Run = "run",
    /// Trigger store: the runs of each trigger.
    RunOf = "run_of",
    /// Trigger store: runs whose call isn't delivered, by time.
    RunOpen = "run_open",
    /// Trigger store: runs that are over, by time.
    RunClosed = "run_closed",
    /// Trigger store: the watermarks of schedules.
    Watermark = "watermark",

    /// Argument cache: content by its digest.
    Content = "content",
    /// Argument cache: how long content is kept.
    ContentKept = "content_kept",
    /// Argument cache: content by the end of its time.
    ContentEnd = "content_end",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_plain() {
        for (index, table) in Table::ALL.iter().enumerate() {
            assert_eq!(*table as usize, index);
            let name = table.name();
            assert!(!name.is_empty() && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'));
            let others = Table::ALL.iter().filter(|other| other.name() == name);
            assert_eq!(others.count(), 1, "{name}");
        }
    }
}
