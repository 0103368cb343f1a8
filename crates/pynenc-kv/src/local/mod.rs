//! The parts that exist only in this process: channels of watchers and subscribers, and waiting consumers.

mod consumers;
mod listeners;
mod signals;
mod subscribers;
mod watchers;

pub use consumers::{Consumers, Ticket};
pub use listeners::{Listeners, Watcher};
pub use subscribers::Subscribers;
