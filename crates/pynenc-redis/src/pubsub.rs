//! Redis pub/sub: one connection of this process, and the subscribers that its messages go to.
//!
//! To be notified of completions, a process records its channel on each invocation that it watches. The same step reads
//! whether the invocation has finished already. Messages are lost while the connection is lost, so the process reads
//! the watched invocations again after it has reconnected.

mod listener;
mod outcomes;
mod signals;
mod watchers;

pub(crate) use listener::PubSub;
