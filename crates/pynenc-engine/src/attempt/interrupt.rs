//! Why a task function is ended early.

/// Why a task function is ended early. Of several requests the greatest one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Interrupt {
    /// An extension halted the task function.
    Halt = 1,
    /// The runner stops, and the grace period is over.
    Shutdown = 2,
    /// The invocation was cancelled.
    Cancel = 3,
    /// The time limit is over.
    Timeout = 4,
    /// Another runner owns the invocation.
    Lost = 5,
}

impl Interrupt {
    pub(super) fn from_u8(value: u8) -> Option<Self> {
        [Self::Halt, Self::Shutdown, Self::Cancel, Self::Timeout, Self::Lost].into_iter().find(|it| *it as u8 == value)
    }
}
