//! A store: an ordered key-value store with the parts of this process that wait for it.

use std::fmt;
use std::sync::{Arc, Weak};

use pynenc_core::component::StoreId;
use pynenc_core::{Clock, InvocationId, Result, Timestamp};

use crate::decisions::{orchestrator, queues::Queues, triggers};
use crate::storage::Collection;
use crate::stores::bytes::Bytes;
use crate::stores::committed::{Committed, read_notice};
use crate::stores::key_value::{Durability, KeyValue, Notice};
use crate::stores::process::{News, Process};
use crate::stores::step::{Context, TypedStep, output};

/// A store of one app, which all of its components share. Clones are cheap.
#[derive(Clone)]
pub struct KvStore(Arc<Shared>);

/// A store that may have been closed since. It doesn't keep the store open.
#[derive(Clone)]
pub struct WeakKvStore(Weak<Shared>);

impl fmt::Debug for WeakKvStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WeakKvStore").finish()
    }
}

impl WeakKvStore {
    /// Returns the store, if it is still open.
    pub fn upgrade(&self) -> Option<KvStore> {
        self.0.upgrade().map(KvStore)
    }
}

struct Shared {
    data: Arc<dyn KeyValue>,
    clock: Arc<dyn Clock>,
    process: Arc<Process>,
}

impl fmt::Debug for KvStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KvStore").field(&self.0.data).finish()
    }
}

impl KvStore {
    /// Opens the store of an app. `data` belongs to this store alone: no other store listens to its notifications.
    pub fn new(data: Arc<dyn KeyValue>, clock: Arc<dyn Clock>) -> Self {
        let shared = Arc::new(Shared { data, clock, process: Arc::default() });
        let listening = Arc::downgrade(&shared);
        shared.data.listen(Box::new(move |notice| {
            if let Some(shared) = listening.upgrade() {
                Self(shared).notified(notice);
            }
        }));
        Self(shared)
    }

    /// Returns a handle that doesn't keep the store open.
    pub fn downgrade(&self) -> WeakKvStore {
        WeakKvStore(Arc::downgrade(&self.0))
    }

    pub(crate) fn data(&self) -> &dyn KeyValue {
        &*self.0.data
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    pub(crate) fn process(&self) -> &Process {
        &self.0.process
    }

    pub(crate) fn id(&self) -> StoreId {
        self.0.data.store_id()
    }

    /// Performs a step in a write transaction.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the step is performed all the same, or not at all.
    pub(crate) async fn write<R: Send + 'static>(
        &self,
        durability: Durability,
        run: impl FnMut(Bytes<'_>, Timestamp, &mut Committed) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let (reply, output) = output();
        self.0.data.write(Box::new(TypedStep::new(self.context(), durability, run, reply)));
        output.get().await
    }

    /// Performs a step in a read transaction.
    pub(crate) async fn read<R: Send + 'static>(
        &self,
        mut run: impl FnMut(Bytes<'_>, Timestamp) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let run = move |bytes: Bytes<'_>, now: Timestamp, _: &mut Committed| run(bytes, now);
        let (reply, output) = output();
        self.0.data.read(Box::new(TypedStep::new(self.context(), Durability::Process, run, reply)));
        output.get().await
    }

    fn context(&self) -> Context {
        Context { data: self.0.data.clone(), clock: self.0.clock.clone(), process: self.0.process.clone() }
    }

    /// Handles a notification of another process.
    fn notified(&self, notice: Notice<'_>) {
        match notice {
            Notice::Sent(topic, notice) => {
                let (committed, completed) = read_notice(topic, notice);
                self.process().notify(&committed);
                let watched = self.process().watched(Some(&completed));
                if !watched.is_empty() {
                    self.look(watched, false);
                }
            }
            Notice::LookAgain => self.look(self.process().watched(None), true),
        }
    }

    /// Reads the states of watched invocations, and the numbers that grow when something happens.
    fn look(&self, watched: Vec<InvocationId>, with_news: bool) {
        let process = self.0.process.clone();
        let run = move |bytes: Bytes<'_>, _: Timestamp, committed: &mut Committed| {
            let state = orchestrator::State::open(&bytes, committed);
            let records = watched.iter().map(|id| Ok((*id, state.record(*id)?.cloned())));
            let records = records.collect::<Result<Vec<_>>>()?;
            let news = if with_news {
                let (queues, triggers) = (Queues::open(&bytes), triggers::State::open(&bytes));
                Some(News {
                    hints: queues.pushed()?,
                    outbox: state.last_outbox_entry()?,
                    events: triggers.last_event()?,
                    definitions: triggers.definition_changes()?,
                })
            } else {
                None
            };
            Ok((records, news))
        };
        let found = move |(records, news): (Vec<_>, Option<News>)| {
            process.found(&records);
            if let Some(news) = news {
                process.compare(news);
            }
        };
        // A failed read is repeated with the next notification.
        let reply = move |read: Result<_>| read.into_iter().for_each(found);
        self.0.data.read(Box::new(TypedStep::new(self.context(), Durability::Process, run, reply)));
    }
}

/// Runs a step on collections, and writes their changes.
pub(crate) fn with<C: Collection, R>(mut collections: C, step: impl FnOnce(&mut C) -> Result<R>) -> Result<R> {
    let output = step(&mut collections)?;
    collections.flush()?;
    Ok(output)
}
