//! The store as a whole: write and read transactions, and notifications between processes.

use std::fmt;

use async_trait::async_trait;
use pynenc_core::Result;
use pynenc_core::component::StoreId;

use crate::stores::transaction::Transaction;

/// An ordered key-value store with transactions, on which all components of an app can stand.
///
/// A store is closed when its last owner drops it. An implementation then performs the steps that it has accepted, and
/// releases its files and threads.
///
/// # Which thread
///
/// [`write`](KeyValue::write), [`read`](KeyValue::read) and [`notify`](KeyValue::notify) are called on the threads of an
/// async runtime, so they must not wait for a disk or for a lock that is held during a transaction. A simple
/// implementation passes each step to a [`Writer`](crate::Writer), which is a thread of its own. A faster one performs
/// steps of a few [items](Step::items) at once, when no other step is waiting or performed.
#[async_trait]
pub trait KeyValue: fmt::Debug + Send + Sync + 'static {
    /// Identifies the data: equal for two values over the same file or server, and different for others.
    fn store_id(&self) -> StoreId;

    /// Performs a step in a write transaction, and reports the result to the step.
    ///
    /// The steps of one process are performed in the order of their calls. Several steps may share a transaction, see
    /// [`Group`](crate::Group).
    fn write(&self, step: Box<dyn Step>);

    /// Performs a step in a read transaction, and reports the result to the step. The step calls only
    /// [`get`](Transaction::get) and [`range`](Transaction::range).
    ///
    /// It sees each write whose step was finished before this call.
    fn read(&self, step: Box<dyn Step>);

    /// Sets the function that is called for each notification of another process, and when notifications may have been
    /// lost. It is called at most once, before the first step.
    ///
    /// The default does nothing, for a store that one process uses at a time.
    fn listen(&self, listener: Listener) {
        drop(listener);
    }

    /// Asks for the notifications of a topic. A store delivers no other topics to this process.
    ///
    /// Notifications of transactions that commit after this call arrive.
    fn subscribe(&self, topic: Topic) {
        let _ = topic;
    }

    /// Notifies the other processes that have subscribed to a topic. It is called after the commit of the step that the
    /// notification is about, and may be called by [`Step::finished`].
    ///
    /// A notice has at most [`Topic::MOST_BYTES`] bytes. Notifications may be lost, repeated or late. A store that may
    /// lose them calls its listener with [`Notice::LookAgain`], for example if it finds that another process has
    /// committed a transaction.
    fn notify(&self, topic: Topic, notice: &[u8]) {
        let _ = (topic, notice);
    }

    /// Lists the store's own settings that may lose work. Each item is a sentence with advice.
    async fn weaknesses(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// A unit of work on the store: all of its writes are committed together, or none.
pub trait Step: Send {
    /// Reads and writes in a transaction.
    ///
    /// It may be called again if the transaction of an earlier call was rolled back.
    ///
    /// # Errors
    ///
    /// An operation of the transaction failed, or stored data can't be decoded. In the second case the step has written
    /// nothing, so other steps may commit in the same transaction.
    fn run(&mut self, transaction: &mut dyn Transaction) -> Result<()>;

    /// Receives the result, once: after the commit, or after the step or its transaction has failed. It is short and
    /// doesn't block.
    ///
    /// A step that is dropped without a result is a failed one, for example when the store is closed.
    fn finished(self: Box<Self>, result: Result<()>);

    /// How safe the commit has to be.
    fn durability(&self) -> Durability;

    /// About how many invocations, or other things with a few keys each, the step handles.
    ///
    /// A step of a few items takes less time than the change to another thread and back. So a store may perform it on the
    /// thread of the caller, if it has to wait neither for a disk nor for a lock.
    fn items(&self) -> usize {
        usize::MAX
    }
}

/// How safe a commit has to be. A transaction with several steps commits as the strictest one of them asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// The commit survives the end of the process. A power failure may undo the last commits of this kind: each of them
    /// is repeated or recovered, for example a claim, a heartbeat or a hint.
    Process,
    /// The commit survives a power failure, if the store can do that and its settings don't say otherwise.
    Power,
}

/// The subject of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Queues have new hints. Idle runners subscribe.
    Hints,
    /// Invocations have completed. Processes that wait for completions subscribe.
    Completions,
    /// Signals for runners: cancel requests and new outbox entries.
    Signals,
    /// Events were appended, or trigger definitions have changed.
    Triggers,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 4] = [Self::Hints, Self::Completions, Self::Signals, Self::Triggers];

    /// The largest notice in bytes.
    pub const MOST_BYTES: usize = 1024;
}

/// A message to a [`Listener`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice<'a> {
    /// Another process has sent a notification.
    Sent(Topic, &'a [u8]),
    /// Notifications may have been lost, or another process has changed the store without sending any.
    LookAgain,
}

/// The function that a store calls for each notification of another process. It is short and doesn't block.
pub type Listener = Box<dyn Fn(Notice<'_>) + Send + Sync>;
