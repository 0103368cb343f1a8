//! What exists only in this process: the channels of those who wait, and waiting consumers.

mod consumers;
mod listeners;
mod signals;
mod subscribers;
mod watchers;

pub use consumers::{Consumers, Ticket};
pub use listeners::{Listeners, Watcher};
pub use subscribers::Subscribers;
