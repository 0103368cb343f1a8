//! The kinds of faults, and their targets.

use std::time::Duration;

use fastrand::Rng;
use pynenc::prelude::*;

/// The kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FaultKind {
    Kill,
    Stop,
    Terminate,
    // A server.
    CutEveryConnection,
    ForgetScripts,
    ForgetFunctions,
    PauseClients,
    Fill,
    // A link to a server.
    StallLink,
    ResetLink,
    CutLink,
    HalfCloseLink,
    TrickleLink,
    DelayLink,
    DropBytes,
    LoseReply,
    WrongReply,
    // A file.
    Lock,
    PinLog,
    Checkpoint,
    Vacuum,
    BackUp,
    RemoveSockets,
    RestartAll,
    // A process that uses a file.
    DieBeforeCommit,
    DieAfterCommit,
}

/// The faults that a store and its processes can have. A fault that is listed more often is more frequent.
pub(super) struct Faults {
    pub(super) store: &'static [FaultKind],
    pub(super) worker: &'static [FaultKind],
    pub(super) client: &'static [FaultKind],
}

/// The faults over a server.
pub(super) const SERVER: Faults = Faults {
    store: &[
        FaultKind::Kill,
        FaultKind::Stop,
        FaultKind::CutEveryConnection,
        FaultKind::ForgetScripts,
        FaultKind::ForgetFunctions,
        FaultKind::PauseClients,
        FaultKind::Fill,
    ],
    worker: &[
        FaultKind::Kill,
        FaultKind::Kill,
        FaultKind::Kill,
        FaultKind::Stop,
        FaultKind::Terminate,
        FaultKind::StallLink,
        FaultKind::ResetLink,
        FaultKind::CutLink,
        FaultKind::HalfCloseLink,
        FaultKind::TrickleLink,
        FaultKind::DelayLink,
        FaultKind::DropBytes,
        FaultKind::LoseReply,
        FaultKind::WrongReply,
    ],
    client: &[FaultKind::Kill, FaultKind::Stop, FaultKind::ResetLink, FaultKind::StallLink, FaultKind::LoseReply],
};

/// The faults over a file.
pub(super) const FILE: Faults = Faults {
    store: &[
        FaultKind::Lock,
        FaultKind::Lock,
        FaultKind::PinLog,
        FaultKind::Checkpoint,
        FaultKind::Vacuum,
        FaultKind::BackUp,
        FaultKind::RemoveSockets,
        FaultKind::RestartAll,
    ],
    worker: &[
        FaultKind::Kill,
        FaultKind::Kill,
        FaultKind::Stop,
        FaultKind::Stop,
        FaultKind::Terminate,
        FaultKind::DieBeforeCommit,
        FaultKind::DieAfterCommit,
    ],
    client: &[FaultKind::Kill, FaultKind::Stop],
};

impl FaultKind {
    /// Draws the time until the fault is undone.
    pub(super) fn duration(self, random: &mut Rng) -> Duration {
        let range = match self {
            Self::Kill | Self::RestartAll => 0..1500,
            Self::Stop => 100..4500,
            Self::Fill | Self::Terminate | Self::DieBeforeCommit | Self::DieAfterCommit => 300..2500,
            Self::StallLink | Self::TrickleLink | Self::DelayLink | Self::DropBytes => 100..4000,
            Self::CutLink | Self::HalfCloseLink => 100..1000,
            // Requests wait up to 5 s for a lock.
            Self::Lock | Self::PinLog => 100..7000,
            _ => 0..300,
        };
        millis(random.u64(range))
    }

    /// Whether the store serves no requests until the fault is undone.
    pub(super) fn stops_store(self) -> bool {
        matches!(self, Self::Kill | Self::Stop | Self::Fill | Self::PauseClients | Self::Lock | Self::RestartAll)
    }
}
