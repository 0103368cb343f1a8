//! One claim of one invocation, from the grant to the settlement: its state, its slot, its waits and its interruption.

mod extension_hooks;
mod interrupt;
mod slots;
mod state;
mod wait;

pub use extension_hooks::Halt;
pub(crate) use interrupt::Interrupt;
pub(crate) use slots::{Permit, Reservation, SlotRequest, Slots};
pub use state::Attempt;
pub(crate) use wait::{OpenWait, cycle_text, resumed};
