//! What happened: that which a condition may come true by.

use pynenc_core::orchestrator::OutboxEntry;
use pynenc_core::record::{InvocationRecord, Outcome};
use pynenc_core::serializer::MsgPackSerializer;
use pynenc_core::trigger_store::Event;
use pynenc_core::{Result, Serializer, SerializerExt, Timestamp};
use serde::{Deserialize, Serialize};

use crate::schedule::shown;

/// Something that happened, with what there is to know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Happening {
    /// An event was emitted.
    Event(Event),
    /// An invocation ended.
    Ended(Box<Ended>),
    /// A schedule's slot came.
    Slot(Timestamp),
}

/// The end of an invocation, with as much of it as the trigger asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// What the outbox says.
    pub entry: OutboxEntry,
    /// What was called.
    pub call: Option<InvocationRecord>,
    /// What it left behind.
    pub outcome: Option<Outcome>,
}

impl Happening {
    /// What makes it one and the same, however often it is told.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::Event(event) => format!("e{}", event.sequence),
            Self::Ended(ended) => format!("i{}", ended.entry.id),
            Self::Slot(slot) => format!("s{}", slot.as_millis()),
        }
    }

    /// When it happened.
    pub(crate) fn at(&self) -> Timestamp {
        match self {
            Self::Event(event) => event.at,
            Self::Ended(ended) => ended.entry.record.at,
            Self::Slot(slot) => *slot,
        }
    }

    /// What happened, for people.
    pub(crate) fn cause(&self) -> String {
        match self {
            Self::Event(event) => format!("event {} {}", event.sequence, event.name),
            Self::Ended(ended) => {
                let OutboxEntry { id, task, record, .. } = &ended.entry;
                format!("{} of {task} {id}", record.status)
            }
            Self::Slot(slot) => format!("slot {}", shown(*slot)),
        }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        MsgPackSerializer.encode(self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        MsgPackSerializer.decode_as(bytes)
    }
}
