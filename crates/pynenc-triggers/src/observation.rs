//! Observations: the events, completions and slots that conditions are evaluated against.
//!
//! An observation is raw: it may or may not meet a condition. An observation that has met a condition of `all` is
//! stored as an [`Occurrence`](pynenc_core::trigger_store::Occurrence), until the other conditions are met.

use pynenc_core::orchestrator::OutboxEntry;
use pynenc_core::packed::{Packed, Unpack, packed_struct, unknown_variant};
use pynenc_core::record::{InvocationRecord, Outcome};
use pynenc_core::trigger_store::Event;
use pynenc_core::{Result, Timestamp};

use crate::schedule::rfc3339;

/// An event, a completion or a slot, with the data that conditions read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// An event was emitted.
    Event(Event),
    /// An invocation finished.
    Completion(Box<CompletionDetails>),
    /// The time of a schedule's slot came.
    Slot(Timestamp),
}

/// The completion of an invocation, with the details that its trigger reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletionDetails {
    /// The outbox entry that reports the completion.
    pub entry: OutboxEntry,
    /// The record of the call, if the trigger reads it.
    pub call: Option<InvocationRecord>,
    /// The outcome, if the trigger reads it.
    pub outcome: Option<Outcome>,
}

impl Observation {
    /// Returns an id that is the same each time the observation is offered.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::Event(event) => format!("e{}", event.sequence),
            Self::Completion(completion) => format!("i{}", completion.entry.id),
            Self::Slot(slot) => format!("s{}", slot.as_millis()),
        }
    }

    /// Returns the time of the observation, by the store's clock.
    pub(crate) fn at(&self) -> Timestamp {
        match self {
            Self::Event(event) => event.at,
            Self::Completion(completion) => completion.entry.record.at,
            Self::Slot(slot) => *slot,
        }
    }

    /// Describes the observation for the list of a trigger's runs.
    pub(crate) fn cause(&self) -> String {
        match self {
            Self::Event(event) => format!("event {} {}", event.sequence, event.name),
            Self::Completion(completion) => {
                let OutboxEntry { id, task, record, .. } = &completion.entry;
                format!("{} of {task} {id}", record.status)
            }
            Self::Slot(slot) => format!("slot {}", rfc3339(*slot)),
        }
    }
}

packed_struct!(CompletionDetails { entry, call, outcome });

impl Packed for Observation {
    fn pack(&self, to: &mut Vec<u8>) {
        match self {
            Self::Event(event) => {
                to.push(0);
                event.pack(to);
            }
            Self::Completion(completion) => {
                to.push(1);
                completion.pack(to);
            }
            Self::Slot(slot) => {
                to.push(2);
                slot.pack(to);
            }
        }
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        match from.variant()? {
            0 => Packed::unpack(from).map(Self::Event),
            1 => Packed::unpack(from).map(Self::Completion),
            2 => Packed::unpack(from).map(Self::Slot),
            found => Err(unknown_variant("Observation", found)),
        }
    }
}
